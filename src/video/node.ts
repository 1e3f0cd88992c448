/** What packages films on Node.js alone. */
import '../client/node/require-node.ts'

export { CopyPackager, createFilmPackager } from './film-packager.ts'
export type { CopyPackagerOptions, FilmPackagerOptions } from './film-packager.ts'
export { createRemuxThread } from './remux-thread/remux-thread.ts'
export type { ReadyPackager, RemuxThreadOptions } from './remux-thread/remux-thread.ts'
export { findFfmpeg } from './ladder/find-ffmpeg.ts'
export type { Ffmpeg, FfmpegPlace } from './ladder/find-ffmpeg.ts'
export { LadderPackager } from './ladder/ladder-packager.ts'
export type { LadderLimits } from './ladder/ladder-limits.ts'
