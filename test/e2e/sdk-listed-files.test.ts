import { mkdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { expect, test } from 'vitest'

import { listFiles } from '../../src/client/node/index.ts'
import { sdkPerTest } from '../support/sdk-per-test.ts'

const stage = sdkPerTest()

test('threat: nothing is sent through a link that was put into a folder after it was listed', async () => {
  const { home, sealift } = stage
  const shared = join(home.path, 'shared')
  await mkdir(join(shared, 'a'), { recursive: true })
  await mkdir(join(home.path, 'secret'))
  await writeFile(join(shared, 'a', 'x.txt'), 'mine')
  await writeFile(join(home.path, 'secret', 'x.txt'), 'secret')
  const items = await listFiles([shared])
  await rename(join(shared, 'a'), join(shared, 'b'))
  await symlink(join(home.path, 'secret'), join(shared, 'a'))
  await expect(sealift.sendFiles(items)).rejects.toMatchObject({ code: 'file_changed' })
  await rm(join(shared, 'a'))
  await rename(join(shared, 'b'), join(shared, 'a'))
  const { link } = await sealift.sendFiles(items)
  const received = await sealift.receive(link, { directory: join(home.path, 'inbox') })
  expect(await readFile(received.items[0]?.path ?? '', 'utf8')).toBe('mine')
})

test.runIf(process.platform === 'linux')(
  'files that claim to be empty go with all that can be read of them',
  async () => {
    const { home, sealift } = stage
    const { link } = await sealift.sendFiles(await listFiles(['/proc/version', '/proc/filesystems']))
    const received = await sealift.receive(link, { directory: join(home.path, 'inbox') })
    const bytes = await Promise.all(received.items.map(({ path }) => readFile(path ?? '', 'utf8')))
    expect(bytes).toEqual([await readFile('/proc/version', 'utf8'), await readFile('/proc/filesystems', 'utf8')])
  },
)
