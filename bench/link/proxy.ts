/**
 * A TCP proxy that stands for a long line: `proxy.ts TARGET_PORT ROUND_TRIP_MS MEGABITS_PER_SECOND`, each way. All its
 * connections share the line. A connection costs one round trip before its first byte travels, as TCP's greeting does.
 * On SIGUSR2 it prints how many bytes have come out at either end so far.
 */
import { connect, createServer, type Socket } from 'node:net'

import { announce } from '../peers/announce.ts'
import { type Flow, Lane } from './lane.ts'

const READ_AHEAD_BYTES = 256 * 1024
const [, , targetPort = '0', roundTripMs = '0', megabits = '0'] = process.argv
const lane = (): Lane =>
  new Lane({
    bytesPerMs: (Number(megabits) * 1e6) / 8 / 1000,
    delayMs: Number(roundTripMs) / 2,
    now: () => performance.now(),
  })
const [up, down] = [lane(), lane()]
const carried = { up: 0, down: 0 }

const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, client => {
  const target = connect({ port: Number(targetPort), host: '127.0.0.1', allowHalfOpen: true })
  const flows = [carry(client, target, up), carry(target, client, down)]
  const end = (): void => {
    for (const flow of flows) flow.destroy()
    client.destroy()
    target.destroy()
  }
  for (const socket of [client, target]) socket.setNoDelay(true).on('error', end)
  setTimeout(() => client.resume(), Number(roundTripMs))
})
announce(server.listen(0, '127.0.0.1'))
process.on('SIGUSR2', () => console.log(`carried up=${carried.up} down=${carried.down}`))

function carry(from: Socket, to: Socket, line: Lane): Flow {
  const flow: Flow = line.open(
    (bytes, taken) => {
      carried[line === up ? 'up' : 'down'] += bytes.length
      to.write(bytes, taken)
    },
    () => {
      if (flow.waitingBytes < READ_AHEAD_BYTES) from.resume()
    },
  )
  from.on('data', bytes => {
    flow.push(bytes)
    if (flow.waitingBytes >= READ_AHEAD_BYTES) from.pause()
  })
  from.on('end', () => flow.end(() => void to.end()))
  return flow
}
