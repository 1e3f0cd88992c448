import { GetObjectCommand, PutObjectCommand, type S3Client } from '@aws-sdk/client-s3'
import { getSignedUrl } from '@aws-sdk/s3-request-presigner'

import type { BlobId, DirectRequest, DirectUpload } from '../blob-store.ts'
import type { ObjectNames } from './object-names.ts'
import { translateS3Error } from './s3-errors.ts'

export interface DirectAccessOptions {
  /** Of the endpoint that clients reach. It only signs. */
  readonly client: S3Client
  readonly bucket: string
  readonly names: ObjectNames
}

/** Addresses under which a client exchanges the bytes of a part with the service itself. */
export class DirectAccess {
  readonly #options: DirectAccessOptions

  constructor(options: DirectAccessOptions) {
    this.#options = options
  }

  /**
   * Length and MD5 are part of the signature: under this address nothing but those bytes can be stored. So is the
   * condition that nothing is there yet: an address outlives the moment in which its part counts, and a part may have
   * several, for different bytes. None of them may replace what was looked at.
   */
  async upload(blobId: BlobId, index: number, { sizeBytes, md5Base64, ttlMs }: DirectUpload): Promise<DirectRequest> {
    const command = new PutObjectCommand({
      ...this.#named(blobId, index),
      ContentLength: sizeBytes,
      ContentMD5: md5Base64,
      IfNoneMatch: '*',
    })
    const url = await this.#sign(command, ttlMs)
    const headers = { 'content-length': String(sizeBytes), 'content-md5': md5Base64, 'if-none-match': '*' }
    return { url, headers }
  }

  /** Whatever its sender called the object, a browser that opens it is told that it is a file of bytes. */
  async download(blobId: BlobId, index: number, ttlMs: number): Promise<DirectRequest> {
    const command = new GetObjectCommand({
      ...this.#named(blobId, index),
      ResponseContentType: 'application/octet-stream',
      ResponseContentDisposition: 'attachment',
    })
    return { url: await this.#sign(command, ttlMs), headers: {} }
  }

  async #sign(command: PutObjectCommand | GetObjectCommand, ttlMs: number): Promise<string> {
    const expiresIn = Math.max(1, Math.floor(ttlMs / 1000))
    try {
      return await getSignedUrl(this.#options.client, command, { expiresIn })
    } catch (error) {
      // Only credentials that are to be found elsewhere can be missing.
      throw translateS3Error(error)
    }
  }

  #named(blobId: BlobId, index: number): { readonly Bucket: string; readonly Key: string } {
    const { bucket, names } = this.#options
    return { Bucket: bucket, Key: names.part(blobId, index) }
  }
}
