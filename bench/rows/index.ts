import type { Row } from '../context.ts'
import { accelerated, acceleratedSmall } from './accelerated.ts'
import { download } from './download.ts'
import { firstFrame } from './first-frame.ts'
import { live } from './live.ts'
import { longLink } from './long-link.ts'
import { memory } from './memory.ts'
import { packaging } from './package.ts'
import { s3Memory } from './s3-memory.ts'
import { s3 } from './s3.ts'
import { sealed } from './sealed.ts'
import { smallMedia } from './small-media.ts'
import { upload } from './upload.ts'
import { workers } from './workers.ts'

export const ROWS: readonly Row[] = [
  download,
  smallMedia,
  upload,
  sealed,
  memory,
  longLink,
  s3,
  s3Memory,
  workers,
  accelerated,
  acceleratedSmall,
  packaging,
  firstFrame,
  live,
]
