/** The prose of docs/protocol.md, between which scripts/make-protocol-docs.ts puts the tables of the contract. */

export const HEAD = `# The protocol, version 1

<!-- Made by scripts/make-protocol-docs.ts from src/protocol: change the tables there, the prose in scripts/protocol-prose.ts. -->

HTTP/1.1, JSON in and out, sealed bytes as \`application/octet-stream\`. A running server describes itself at
\`/openapi.json\`: OpenAPI 3.1, made from the same table, with links from each response to the requests that may follow. It has
a strong \`ETag\` and counts against the request rate of the client or IP address. \`/healthz\` and \`/readyz\` do not count: a load balancer
that gets 429 takes the node out of service. [format.md](format.md) describes the bytes.

## Sending and receiving, in six calls

\`FILE\` is the path that \`sealift serve\` prints. The file holds the \`Authorization\` header of the user that runs the server.

\`\`\`sh
at=http://127.0.0.1:7325/v1
curl -s -H @FILE $at/uploads -H 'Content-Type: application/json' -d '{"sizeBytes": 5}'  # uploadId, mediaId
curl -s -H @FILE -X PUT $at/uploads/$uploadId/parts/0 -H 'Content-Type: application/octet-stream' -d hello
curl -s -H @FILE $at/uploads/$uploadId/complete -H 'Content-Type: application/json' -d '{"sizeBytes": 5}'
curl -s $at/media/$mediaId -H 'Range: bytes=1-3'                                       # ell: reading takes the id alone
curl -s -H @FILE $at/media -H 'Content-Type: application/octet-stream' -d hello         # all in one
curl -s -H @FILE $at/media -F image=@sealed-1.bin -F video=@sealed-2.bin                # many in one form
\`\`\`

## Who may call

- **Token**: \`Authorization: Bearer TOKEN\`, static or signed ([configuration.md](configuration.md#tokens)). A token that is
  sent must be valid, even where none is required. Cookies and tokens in URLs are ignored.
- **Open mode**: requests without a token, if the operator allows them. By default only the user that runs the server may store, on
  the server's machine, with the local token in a file of that user. The client is then the IP address.
- **Ids** match \`^[a-z2-7]{26}$\`: 130 random bits, chosen by the server. Knowing the id of a media item or a parcel permits reading
  it (unless \`access.downloads\` is \`token\`). Only the sender learns the id of an upload, and that id permits adding parts;
  an upload that began with a token also requires that client's token.
- **Owner secret**: a sender may choose a random secret (22 to 128 characters of base64url, at least 128 bits) and send it as
  \`Sealift-Owner\` when it creates an upload, a media item, a lease or a parcel. The server stores its SHA-256. To end or replace
  something, a client needs the token that created it, or its secret. An IP address proves nothing: what an anonymous client created
  without a secret can only expire.
- Unknown ids and ids of other clients get the same response: 404 \`not_found\`. An ended lease or parcel is 410 \`gone\`
  until the server forgets it (\`upkeep.keepEnded\`).

## Errors

Every refusal is a problem document (RFC 9457, \`application/problem+json\`): \`type\`, \`title\`, \`status\`, a stable \`code\`,
\`detail\` for people, and \`requestId\`, which every response also has as \`Sealift-Request-Id\`. Limits add \`limit\` (its
name in \`GET /v1/limits\`), \`value\` and \`remaining\`. 429, 503 and 507 have \`Retry-After\` in seconds. Some codes add
facts: \`missing\` (runs of part indices), \`version\`, \`sizeBytes\`. New codes and fields may be added; clients ignore unknown ones.

\`\`\`json
{
  "type": "urn:sealift:problem:too_many_uploads",
  "title": "Too many uploads at once",
  "status": 429,
  "code": "too_many_uploads",
  "detail": "At most 32 uploads at once; wait for one to end or try again later",
  "limit": "concurrentUploads",
  "value": 32,
  "remaining": 0,
  "requestId": "kq1Zt0Xw2f"
}
\`\`\`
`

export const UPLOADS = `## Uploads

1. \`POST /v1/uploads\` returns \`uploadId\`, \`mediaId\` and \`partBytes\`. With \`sizeBytes\` the quota is reserved at once and the
   size is fixed; without it each part reserves its own bytes. The media item is readable from this moment on.
2. \`PUT …/parts/{index}\`, in any order and in parallel. Every part but the last has \`partBytes\` bytes. \`Content-Length\`
   is required. \`Content-Digest: sha-256=:BASE64:\` (RFC 9530) is verified before the response. **204 means durable**: the part
   survives a crash of the machine. The index is at most 9,999,999. A part may not end beyond the declared size
   (409 \`size_mismatch\`), nor beyond \`maxBytes\`, \`pendingBytes\` or \`storedBytes\` (413 \`too_large\`), whichever parts are stored
   before it. \`partBytes\` is larger than requested if the declared size needs more parts than there are indices.
3. \`POST …/complete\` with the total size. A repetition gets the same response.

- **A durable part never changes.** A repeated PUT is compared with the stored part: equal bytes get 204, other bytes
  409 \`part_conflict\`. A second PUT of a part that is still being received replaces the first one, which is cut.
- **Resuming**: \`GET /v1/uploads/{id}\` lists the durable parts as runs, \`[[0, 4], [6, 6]]\`; send the others.
- **\`Expect: 100-continue\`**: \`100 Continue\` comes only after all checks but those of the bytes, and with a slot. So the bytes of
  a part that will be refused need not be sent.
- A file that is too large for the server's file system is 413 \`too_large\` with the limit \`fileBytes\`, not 507 \`storage_full\`.
- An unfinished upload expires \`transfer.uploadExpiry\` after its last part, and counts against the quota until then.
- A sender that sends nothing for \`transfer.idleTimeout\`, or is slower than \`transfer.minimumBytesPerSecond\`, gets 503 \`stalled\`.

**In one request**: \`POST /v1/media\` with a raw body makes one complete media item (\`kind\`, \`ttlSeconds\` and \`maxDownloads\` are
query parameters). With \`multipart/form-data\` it makes one media item of each file. The response is 200 with a result per file, in order:
\`media\` or \`problem\`. One bad file does not affect the others. **The name of a file's field gives its kind** (\`image\`,
\`video\`, \`audio\`, \`document\`); with any other name, \`kind\` of the query applies. Other fields and file names are ignored. A
\`Content-Digest\` covers the entire form: after 422 \`digest_mismatch\` repeat the form with its \`Idempotency-Key\`; otherwise what was
stored expires with its lease.

**Idempotency**: with \`Idempotency-Key\` (1 to 128 printable characters, stored for a day, per client) a repeated POST returns
what the first one created. The same key with another request is 409 \`idempotency_conflict\`. A failed request may be
repeated with its key. So may one whose upload was aborted since: it starts a new upload. The files of a form are distinguished by
their position.
`

export const DOWNLOADS = `## Downloads

\`GET /v1/media/{id}\` returns the bytes, \`HEAD\` the headers of the complete media item, \`…/info\` its facts.

- **Ranges** (RFC 9110): one byte range is honoured with 206. Several ranges, other units, and malformed or very long
  headers are ignored, and the response has all bytes. A range outside the media item is 416 with \`Content-Range: bytes */SIZE\`.
- **\`ETag\`** is strong, and constant from the moment the upload begins. \`If-None-Match\` and \`If-Range\` accept it. Leases of the
  same bytes share it. There are no dates.
- **During the upload** (\`Sealift-State: uploading\`) a plain GET streams the durable bytes and follows the upload: under its
  \`Content-Length\` if the size is declared, else chunked. A range of an upload of unknown size gets 206 with the bytes that are
  durable so far, at least one, as \`Content-Range: bytes 10-99/*\`: request the rest again. (A range of the last
  bytes is not known yet: it gets all bytes.)
- **Never a short 200**: if the sender aborts, the lease ends during the upload or a disk fails, a response that has begun is cut, so that its
  \`Content-Length\` or its last chunk is missing.
- **\`maxDownloads\`** counts downloads, not requests. A download is the first GET of a media item, complete or by range, without a grant
  that the server knows. One transaction counts it before the first byte, and the response has
  \`Sealift-Download: GRANT\`. Further GETs of that media item with this header belong to the same download, until the grant expires
  (\`transfer.downloadGrantTtl\`). HEAD, info, 304 and 416 never count, and a GET that fails before its first byte is
  not counted. Media without \`maxDownloads\` have no grants.
- **Safe headers**: always \`application/octet-stream\`, attachment, \`nosniff\`, sandboxed, whatever the bytes are. \`Cache-Control\`
  is \`private, max-age=…, immutable\` where the id permits reading (no longer than a day, or the lease), else
  \`private, no-store\`. No shared cache may store a response.
- A reader that accepts no byte for \`transfer.idleTimeout\` is cut.

**Leases**: \`POST /v1/media/{id}/leases\` forwards: a new id, owner and expiry for the same bytes. The bytes are deleted with their
last lease. A client is charged once for bytes, however many leases of them it holds.
`

export const DIRECT = `## Direct transfer

If the operator chose \`storage.transfer: direct\`, clients may exchange bytes with the store without the server. The response to a new
upload has \`transfer: direct\`, and the response to a manifest \`Sealift-Transfer: direct\`. The routes above still work, at any time,
also for single parts of the same upload. Without direct transfer these routes return 409 \`not_direct\`.

- **Sending a part**: \`POST …/parts/{index}/direct\` with its size and MD5 returns a presigned \`url\` and \`headers\`. PUT the bytes there, with
  exactly these headers and no others of Sealift. The URL accepts only these bytes, and only if nothing is
  stored at this position. (412: the position is taken. Confirm the part, or send it through the server.) Then \`POST …/stored\` with the
  same size and MD5: the server looks for the part in the store, and **its 204 means durable**. 409 \`parts_missing\`: the store does not
  have it. A client that gives up the part, or sends it through the server instead, reports this by \`DELETE /v1/direct/{transferId}\`.
- **Reading a range**: \`POST /v1/media/{id}/direct\` with \`start\` (and \`end\`) returns presigned URLs of the parts that hold it, at most 64;
  request later ones again. Each accepts GET, complete or by range. A media item that is still being uploaded is followed through the server.
  \`DELETE /v1/direct/{transferId}\` reports the end: 204 for every id, also of a transfer that is over; 404
  \`not_found\` for an invalid id.
- **Limits.** The server does not see the bytes. A slot is held from the presigned URL to the confirmation (or the
  DELETE, or \`expiresAt\`). Sizes and quota are checked before the URL is issued, and its bytes stay charged, as
  stored bytes, until it has expired, however its upload ends. A byte rate is charged when the URL is issued, which may
  delay the response; one response covers at most two seconds of that rate, and a part that takes longer is \`not_direct\`.
  \`maxDownloads\` is counted before the first URL.
- **A presigned URL works for anyone** until \`expiresAt\`, also after the media item has ended. Keep it secret.
`

export const PARCELS = `## Parcels

A parcel is a versioned, sealed manifest under one id, and the leases that end with it.

- \`POST /v1/parcels\` and \`PUT …/manifest\` accept \`application/octet-stream\`: the ids of the covered media, 26 ASCII bytes each
  without a separator, then the sealed manifest. \`Sealift-Media-Count\` is the number of ids, 0 to 20,000; absent, it is 0.
  \`Content-Length\` is required; \`ttlSeconds\` of the POST is a query parameter. All media must belong to the caller. A new
  version may add media, never remove any.
- **Deprecated**: the same two requests as JSON, with the manifest as base64url beside the list of media. A body over 64 KiB
  needs a \`Content-Length\`. Servers older than the raw form return 415 \`unsupported_media_type\` for it.
- \`GET /v1/parcels/{id}\` returns the newest manifest as raw bytes; \`ETag: "3"\` and \`Sealift-Version: 3\` give its version.
- **Replacing** requires \`If-Match: "3"\`, one version: 428 without it, 412 \`version_mismatch\` (with \`version\`) if another
  change came first.
- **Waiting**: \`If-None-Match: "3"\` with \`Prefer: wait=30\` returns as soon as there is another version, or 304 after 30 s
  (at most \`transfer.parcelWaitMax\`; \`Preference-Applied\` has the granted seconds). A client may have as many waiting readers as
  its tier's \`queue\`. They hold no download slot; sending the manifest does.
`

export const LIMITS = `## Limits

\`GET /v1/limits\` returns the caller's limits, usage and what is left, under the names that refusals use.

- **Concurrent transfers** are counted per client and direction. One too many waits in a queue (first come, first served, \`queue\`
  positions). It is refused with 429 if the queue is full or the wait too long. A manifest or media item being sent to a client is one
  download. A part, a raw body, a complete form or a manifest being received is one upload.
- **Requests per second** are counted per client. **Bytes per second** are shared by all transfers of a client in one direction.
- **Quota and pending uploads** are checked in the transaction that charges them: never one byte over.

**Access comes first**: a request whose id is unknown, or whose token or owner secret does not permit it, is refused before its body
is read, and before \`100 Continue\`. So is a body whose \`Content-Length\` is too large.

**Memory**: what the server buffers for a request (JSON, manifests both ways, forms) is taken from one budget, \`buffers.bytes\`,
of which each client has \`buffers.bytesPerClient\`. A request that finds no memory waits up to \`buffers.queueWait\`. Then it is refused, with
429 \`rate_limited\` (limit \`buffers.bytesPerClient\`) or 503 \`unavailable\` (limit \`buffers.bytes\`), and \`Retry-After\`.

**Bodies**: a digest must be canonical base64, in \`Content-Digest\` and as \`md5\`. JSON requests may have 64 KiB, 8 levels and 256 keys
and elements. The deprecated ones with a manifest may have as many bytes as the tier's \`manifestBytes\` needs, 2 levels and 20,016 keys
and elements. JSON counts in the byte rate and holds no upload slot. Bodies with a \`Content-Encoding\`, URLs over 2 KiB, headers over 16 KiB or more than 100, and requests with both a length and chunks are refused.
`
