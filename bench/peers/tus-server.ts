import { createServer } from 'node:http'

import { FileStore } from '@tus/file-store'
import { Server } from '@tus/server'

import { announce } from './announce.ts'

const tus = new Server({ path: '/files', datastore: new FileStore({ directory: process.argv[2] ?? '.' }) })
const server = createServer((request, response) => void tus.handle(request, response))
announce(server.listen(0, '127.0.0.1'))
