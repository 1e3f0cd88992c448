/** What packages films on Node.js alone. */
export { createRemuxThread } from './remux-thread/remux-thread.ts'
export type { RemuxThreadOptions } from './remux-thread/remux-thread.ts'
export { findFfmpeg } from './ladder/find-ffmpeg.ts'
export type { Ffmpeg, FfmpegPlace } from './ladder/find-ffmpeg.ts'
export { LadderPackager } from './ladder/ladder-packager.ts'
export { CopyPackager, type CopyPackagerOptions } from './ladder/copy-packager.ts'
export type { LadderLimits } from './ladder/limits.ts'
