import type { S3Client } from '@aws-sdk/client-s3'
import { S3RequestPresigner } from '@aws-sdk/s3-request-presigner'

import type { BlobId, DirectRequest, DirectUpload } from '../blob-store.ts'
import { locateBucket, objectRequest, type ObjectRequestParts, memoizeAsync } from './object-requests.ts'
import type { ObjectNames } from './object-names.ts'
import { translateS3Error } from './s3-errors.ts'
import { pathOf } from './s3-client.ts'

export interface UrlSignerOptions {
  /** For the endpoint that clients reach. It only signs. */
  readonly client: S3Client
  readonly bucket: string
  readonly names: ObjectNames
}

/**
 * Presigned URLs by which a client exchanges the bytes of a part with the service, from the SDK's presigner without its
 * middleware, since each part of each transfer needs one.
 */
export class UrlSigner {
  readonly #options: UrlSignerOptions
  readonly #presigner: S3RequestPresigner
  readonly #bucketUrl: () => Promise<URL>

  constructor(options: UrlSignerOptions) {
    const { client, bucket } = options
    const { credentials, region, sha256 } = client.config
    this.#options = options
    this.#presigner = new S3RequestPresigner({ credentials, region, sha256 })
    this.#bucketUrl = memoizeAsync(() => locateBucket(client, bucket))
  }

  /**
   * Length and MD5 are part of the signature, so the URL stores exactly those bytes. So is the condition that the
   * object is absent: a URL outlives the confirmation of its part, and a part may have several, for different bytes.
   * None of them may replace a confirmed object.
   */
  async upload(blobId: BlobId, index: number, { sizeBytes, md5Base64, ttlMs }: DirectUpload): Promise<DirectRequest> {
    const headers = { 'content-length': String(sizeBytes), 'content-md5': md5Base64, 'if-none-match': '*' }
    const name = this.#options.names.part(blobId, index)
    return { url: await this.#sign({ method: 'PUT', name, headers }, ttlMs), headers }
  }

  /** A browser that opens the URL saves a file, whatever type the object has. */
  async download(blobId: BlobId, index: number, ttlMs: number): Promise<DirectRequest> {
    const name = this.#options.names.part(blobId, index)
    return { url: await this.#sign({ method: 'GET', name, headers: {}, query: AS_BYTES }, ttlMs), headers: {} }
  }

  async #sign(request: ObjectRequestParts, ttlMs: number): Promise<string> {
    const expiresIn = Math.max(1, Math.floor(ttlMs / 1000))
    try {
      const base = await this.#bucketUrl()
      const signed = await this.#presigner.presign(objectRequest(base, request), { expiresIn })
      return base.origin + pathOf(signed)
    } catch (error) {
      // Only the credential provider can fail.
      throw translateS3Error(error)
    }
  }
}

const AS_BYTES = {
  'response-content-type': 'application/octet-stream',
  'response-content-disposition': 'attachment',
}
