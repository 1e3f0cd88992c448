/**
 * What Node's own server can do at most: every response has the same bytes from memory, from one process or several.
 */
import cluster from 'node:cluster'
import { createServer } from 'node:http'

import { announce } from './announce.ts'

const [processes, bodyBytes] = process.argv.slice(2).map(Number)

if (cluster.isPrimary && processes !== 1) {
  for (let index = 0; index < (processes ?? 1); index++) cluster.fork()
  // Once all of them listen, at the one address they share.
  let listening = 0
  cluster.on('listening', (_, { port }) => {
    listening += 1
    if (listening === processes) console.log(`listening on http://127.0.0.1:${port}`)
  })
  process.once('SIGTERM', () => process.exit(0))
} else {
  const body = Buffer.alloc(bodyBytes ?? 0, 7)
  const server = createServer((_, response) => {
    response.writeHead(200, { 'Content-Length': body.length })
    response.end(body)
  })
  if (cluster.isPrimary) announce(server)
  server.listen(0, '127.0.0.1')
}
