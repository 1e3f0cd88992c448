import express from 'express'

import { announce } from './announce.ts'

const app = express()
app.use(express.static(process.argv[2] ?? '.'))
announce(app.listen(0, '127.0.0.1'))
