import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer, connect, type AddressInfo } from 'node:net'

import { expect, test } from 'vitest'

import { isOwnPeer, peerUsers } from '../../../src/cli/play/peer-user.ts'

const TABLE = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 1 1 0 100 0 0 10 0
   1: 0100007F:1F90 0100007F:C350 01 00000000:00000000 00:00000000 00000000  1000        0 2 1 0 100 0 0 10 0
   2: 0100007F:C350 0100007F:1F90 01 00000000:00000000 00:00000000 00000000  1001        0 3 1 0 100 0 0 10 0
   3: 0100007F:1F90 0100007F:C351 01 00000000:00000000 00:00000000 00000000  1000        0 4 1 0 100 0 0 10 0
   4: 0200007F:C351 0100007F:1F90 01 00000000:00000000 00:00000000 00000000  1000        0 5 1 0 100 0 0 10 0
   0: 0000000000000000FFFF00000100007F:C351 0000000000000000FFFF00000100007F:1F90 01 0:0 00:0 0  1002        0 6 1 0
`

test('the user of the other end is read from the table of the kernel', () => {
  expect(peerUsers(TABLE, { ours: 0x1f90, theirs: 0xc350 })).toEqual([1001])
  expect(peerUsers(TABLE, { ours: 0x1f90, theirs: 0xc351 })).toEqual([1002])
  expect(peerUsers(TABLE, { ours: 0x1f90, theirs: 0xc352 })).toBeNull()
  expect(peerUsers('', { ours: 0x1f90, theirs: 0xc350 })).toBeNull()
})

const NOBODY = 65_534

test('a connection of this user is its own; one of another user is not', async () => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const mine = connect(port, '127.0.0.1')
  const [own] = await once(server, 'connection')
  expect(await isOwnPeer(own)).toBe(true)
  mine.destroy()
  // Only root can become another user.
  const isRoot = process.geteuid?.() === 0
  const code = `const { connect } = process.getBuiltinModule('net'); connect(${port}, '127.0.0.1')`
  const user = isRoot ? { uid: NOBODY, gid: NOBODY } : {}
  const other = spawn(process.execPath, ['-e', code], { ...user, cwd: '/', env: {} })
  const [foreign] = await once(server, 'connection')
  expect(await isOwnPeer(foreign)).toBe(!isRoot)
  other.kill()
  foreign.destroy()
  server.close()
})
