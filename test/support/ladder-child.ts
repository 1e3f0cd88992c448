/** A process that packages a film until it is killed. Arguments: the film, what `findFfmpeg` found, as JSON. */
import { LadderPackager, type Ffmpeg } from '../../src/video/node.ts'
import { inputOf } from './ffmpeg.ts'

const [film = '', ffmpeg = ''] = process.argv.slice(2)
const packager = new LadderPackager(JSON.parse(ffmpeg) as Ffmpeg)
const { renditions } = await packager.package(inputOf(film), { signal: new AbortController().signal })
// Nobody reads: ffmpeg waits with full pipes.
setInterval(() => renditions.length, 1000)
