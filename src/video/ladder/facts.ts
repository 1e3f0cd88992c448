/** What ffprobe tells of a file, read leniently: whoever made the file chose what it says. */
import * as z from 'zod'

import { CannotPackage } from '../packager.ts'

const text = z.string().max(1000).optional().catch(undefined)
const count = z.coerce.number().min(0).max(Number.MAX_SAFE_INTEGER).optional().catch(undefined)
const flag = z.coerce.boolean().optional().catch(undefined)

const stream = z.object({
  index: z.int().min(0),
  codec_type: text,
  codec_name: text,
  width: count,
  height: count,
  sample_aspect_ratio: text,
  avg_frame_rate: text,
  r_frame_rate: text,
  field_order: text,
  color_transfer: text,
  color_primaries: text,
  channels: count,
  start_time: count,
  duration: count,
  disposition: z.object({ default: flag, forced: flag, attached_pic: flag }).optional().catch(undefined),
  tags: z.object({ language: text, title: text }).optional().catch(undefined),
  side_data_list: z
    .array(z.object({ rotation: z.coerce.number().optional().catch(undefined) }))
    .optional()
    .catch(undefined),
})

const facts = z.object({
  format: z.object({ format_name: z.string(), duration: count }),
  streams: z.array(stream).max(1000),
})

export type StreamFacts = z.infer<typeof stream>
export type FilmFacts = z.infer<typeof facts>

/** Entries for `-show_entries`. */
export const ENTRIES = [
  'format=format_name,duration',
  `stream=${Object.keys(stream.shape)
    .filter(key => !['disposition', 'tags', 'side_data_list'].includes(key))
    .join(',')}`,
  'stream_disposition=default,forced,attached_pic',
  'stream_tags=language,title',
  'stream_side_data=rotation',
].join(':')

/** @throws CannotPackage */
export function readFacts(json: string): FilmFacts {
  try {
    return facts.parse(JSON.parse(json))
  } catch (cause) {
    throw new CannotPackage('ffprobe could not tell what the file is made of', { cause })
  }
}
