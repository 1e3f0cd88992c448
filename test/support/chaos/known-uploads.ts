/** What the senders know of their uploads, and what they may be told. */
import type { Actor } from './actor.ts'
import type { Content, MediaFacts, UploadFacts } from './facts.ts'

export type Uploading = MediaFacts & { readonly upload: UploadFacts }

const isUploading = (media: MediaFacts): media is Uploading => media.upload !== null

/** Unfinished uploads of this client, by what it was told. */
export function unfinished({ facts, client }: Actor): Uploading[] {
  return facts.media
    .filter(isUploading)
    .filter(each => each.client === client && each.complete !== 'acknowledged' && each.ended === 'no')
}

/** A complete media without an upload of its own. */
export function newMedia(mediaId: string, client: number, content: Content): MediaFacts {
  return {
    mediaId,
    client,
    content,
    upload: null,
    maxDownloads: null,
    complete: 'acknowledged',
    ended: 'no',
    begun: 0,
    delivered: new Set(),
    inParcel: false,
  }
}

export function noteAcknowledged({ history }: Actor, { acknowledgedParts }: UploadFacts, index: number): void {
  acknowledgedParts.add(index)
  history.count('parts acknowledged')
}

/** Responses that tell that a media item is no more are right only when somebody asked for that. */
export function isEnded(media: MediaFacts, code: string): boolean {
  return (code === 'gone' || code === 'not_found') && media.ended !== 'no'
}
