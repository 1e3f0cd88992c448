/**
 * What a response makes possible next, as OpenAPI links: an upload from begin to read, a parcel from publish to end.
 */
import type { RouteName } from './routes.ts'

export interface Link {
  readonly to: RouteName
  readonly description: string
  /** Parameters of that route: constants, or runtime expressions of OpenAPI. */
  readonly parameters: Readonly<Record<string, string>>
}

/** By route and status. */
export type Links = Readonly<Partial<Record<RouteName, Readonly<Record<number, readonly Link[]>>>>>

const UPLOAD = { uploadId: '$response.body#/uploadId' }
const SAME_UPLOAD = { uploadId: '$request.path.uploadId' }
const SAME_PART = { ...SAME_UPLOAD, index: '$request.path.index' }
const MEDIA = { mediaId: '$response.body#/mediaId' }
const PARCEL = { parcelId: '$response.body#/parcelId' }
const TRANSFER = { transferId: '$response.body#/transferId' }

const aboutMedia: readonly Link[] = [
  { to: 'headMedia', description: 'Ask for its headers', parameters: MEDIA },
  { to: 'mediaInfo', description: 'Ask for its facts', parameters: MEDIA },
  { to: 'forwardMedia', description: 'Give it another lease', parameters: MEDIA },
  { to: 'endLease', description: 'End the lease', parameters: MEDIA },
]

const completeMedia: readonly Link[] = [
  { to: 'readMedia', description: 'Read it', parameters: MEDIA },
  { to: 'directRead', description: 'Read it from the store', parameters: MEDIA },
  ...aboutMedia,
]

const aboutParcel: readonly Link[] = [
  { to: 'readParcel', description: 'Read the manifest', parameters: PARCEL },
  {
    to: 'replaceManifest',
    description: 'Publish the next version',
    parameters: { ...PARCEL, 'If-Match': '$response.header.ETag' },
  },
  { to: 'endParcel', description: 'End it', parameters: PARCEL },
]

export const LINKS: Links = {
  beginUpload: {
    201: [
      { to: 'putPart', description: 'Store the first part', parameters: { ...UPLOAD, index: '0' } },
      { to: 'directPart', description: 'Store the first part directly', parameters: { ...UPLOAD, index: '0' } },
      { to: 'uploadStatus', description: 'Ask which parts are durable', parameters: UPLOAD },
      { to: 'completeUpload', description: 'End the upload', parameters: UPLOAD },
      { to: 'abortUpload', description: 'Give it up', parameters: UPLOAD },
      ...aboutMedia,
    ],
  },
  putPart: {
    204: [
      { to: 'completeUpload', description: 'End the upload once all parts are durable', parameters: SAME_UPLOAD },
      { to: 'uploadStatus', description: 'Ask which parts are durable', parameters: SAME_UPLOAD },
    ],
  },
  directPart: {
    200: [
      { to: 'confirmPart', description: 'Confirm the part once the store has it', parameters: SAME_PART },
      { to: 'endDirect', description: 'Give the part up', parameters: TRANSFER },
    ],
  },
  confirmPart: {
    204: [{ to: 'completeUpload', description: 'End the upload once all parts are durable', parameters: SAME_UPLOAD }],
  },
  completeUpload: { 200: completeMedia },
  storeMedia: { 201: completeMedia },
  forwardMedia: { 201: completeMedia },
  directRead: { 200: [{ to: 'endDirect', description: 'Free the slot', parameters: TRANSFER }] },
  publishParcel: { 201: aboutParcel },
  replaceManifest: { 200: aboutParcel },
  readParcel: {
    200: [
      {
        to: 'readParcel',
        description: 'Ask for a newer version',
        parameters: { parcelId: '$request.path.parcelId', 'If-None-Match': '$response.header.ETag' },
      },
    ],
  },
}
