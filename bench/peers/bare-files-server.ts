/** The least that a Node server does to serve files: a request, one read of the file, one response. Nothing is kept. */
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'

import { announce } from './announce.ts'

const folder = process.argv[2] ?? '.'

const server = createServer((request, response) => {
  const bytes = readFileSync(join(folder, request.url ?? ''))
  response.writeHead(200, ['Content-Type', 'application/octet-stream', 'Content-Length', String(bytes.length)])
  response.end(bytes)
})

announce(server)
server.listen(0, '127.0.0.1')
