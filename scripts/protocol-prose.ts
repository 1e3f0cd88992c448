/** The prose of docs/protocol.md, between which scripts/make-protocol-docs.ts puts the tables of the contract. */

export const HEAD = `# The protocol, version 1

<!-- Made by scripts/make-protocol-docs.ts from src/protocol: change the tables there, the prose in scripts/protocol-prose.ts. -->

HTTP/1.1, JSON in and out, sealed bytes as \`application/octet-stream\`. A running server describes itself at
\`/openapi.json\`: OpenAPI 3.1, made from the same table, with a link from each response to the requests that may follow. It has
a strong \`ETag\` and counts against the request rate of the client or address. \`/healthz\` and \`/readyz\` never do: a load balancer that
gets 429 takes the node out of service. What the bytes are made of is in [format.md](format.md).

## Sending and receiving, in six calls

\`FILE\` is the path that \`sealift serve\` prints below its address. The file holds the \`Authorization\` header of the user that runs it.

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
  sent must be valid, also where none is needed. Cookies and tokens in URLs are never taken.
- **Open mode**: without a token of its own, where the operator allows it. By default only the user that runs the server is
  allowed, on the server's own machine, with the token that the server left in a file of that user. The client is then the address.
- **Ids** match \`^[a-z2-7]{26}$\`: 130 random bits, chosen by the server. Who knows the id of a media or a parcel may read
  it (unless \`access.downloads\` is \`token\`). An upload's id is told to its sender alone, and is the right to add parts;
  one begun with a token also takes that client's token.
- **Owner secret**: a sender may choose a random secret (22 to 128 characters of base64url, at least 128 bits) and send it as
  \`Sealift-Owner\` when making an upload, a media, a lease or a parcel. The server keeps its SHA-256. Who made something
  with a token, or holds its secret, may end or replace it. An address proves nothing: what an anonymous client made
  without a secret can only expire.
- What is absent, another's, or never was, answers alike: 404 \`not_found\`. A lease or parcel that ended answers 410 \`gone\`
  to whoever knows its id, until it is forgotten (\`upkeep.keepEnded\`).

## Errors

Every refusal is a problem document (RFC 9457, \`application/problem+json\`): \`type\`, \`title\`, \`status\`, a stable \`code\`,
\`detail\` for people, and \`requestId\`, which every answer also carries as \`Sealift-Request-Id\`. Limits add \`limit\` (its
name in \`GET /v1/limits\`), \`value\` and \`remaining\`, and 429, 503 and 507 come with \`Retry-After\` in seconds. Some codes add
facts: \`missing\` (runs of part indices), \`version\`, \`sizeBytes\`. New codes and fields may be added; clients pass over
what they do not know.

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

1. \`POST /v1/uploads\` gives \`uploadId\`, \`mediaId\` and \`partBytes\`. With \`sizeBytes\` the quota is reserved at once and the
   size is fixed; without it each part reserves its own bytes. The media can be read from this moment on.
2. \`PUT …/parts/{index}\`, in any order and in parallel. Every part but the last has \`partBytes\` bytes. \`Content-Length\`
   is needed, \`Content-Digest: sha-256=:BASE64:\` (RFC 9530) is verified before the answer. **204 means durable**: the part
   survives a crash of the machine. The index is at most 9,999,999, and a part may not end beyond the declared size
   (409 \`size_mismatch\`), nor beyond \`maxBytes\`, \`pendingBytes\` or \`storedBytes\` (413 \`too_large\`), whichever parts are stored
   before it. \`partBytes\` is larger than asked for where the declared size needs more parts than there are indices.
3. \`POST …/complete\` with the total size. Repeating it gives the same answer.

- **A durable part never changes.** Repeating its PUT is compared with what is stored: the same bytes answer 204, other bytes
  409 \`part_conflict\`. A second PUT of a part that is still being received takes over: the first one is cut.
- **Resuming**: \`GET /v1/uploads/{id}\` names the durable parts as runs, \`[[0, 4], [6, 6]]\`; send the others.
- **\`Expect: 100-continue\`** is answered only when everything but the bytes is checked and a slot is held, so that a part that
  will be refused need not be sent.
- A file that is too large for the server's file system is 413 \`too_large\` with the limit \`fileBytes\`, not 507 \`storage_full\`.
- An unfinished upload expires \`transfer.uploadExpiry\` after its last part, and counts against the quota until then.
- A sender that stands still for \`transfer.idleTimeout\`, or is slower than \`transfer.minimumBytesPerSecond\`, gets 503 \`stalled\`.

**In one request**: \`POST /v1/media\` with a raw body makes one complete media (\`kind\`, \`ttlSeconds\` and \`maxDownloads\` go into
the query). As \`multipart/form-data\` it makes one media of each file, and answers 200 with a result for each, in order:
\`media\` or \`problem\`. One bad file does not lose the others. **The name of a file's field may tell its kind** (\`image\`,
\`video\`, \`audio\`, \`document\`); any other name takes \`kind\` from the query. A \`Content-Digest\` covers the
whole form: on 422 \`digest_mismatch\` repeat it, with its \`Idempotency-Key\`, or what was stored expires with its lease. Other fields and file names are ignored.

**Idempotency**: with \`Idempotency-Key\` (1 to 128 printable characters, kept for a day, per client) a repeated POST answers
with what the first one made; the same key with another request is 409 \`idempotency_conflict\`. A request that failed may be
repeated with its key, and so may one whose upload was given up since: it begins anew. The files of a form are told apart by
their place.
`

export const DOWNLOADS = `## Downloads

\`GET /v1/media/{id}\` sends the bytes; \`HEAD\` the headers of the whole, \`…/info\` the facts.

- **Ranges** (RFC 9110): one range of bytes is honoured with 206. Several ranges, other units and malformed or very long
  headers are ignored, and the whole is sent. Outside of the media: 416 with \`Content-Range: bytes */SIZE\`.
- **\`ETag\`** is strong, and constant from the moment the upload begins; \`If-None-Match\` and \`If-Range\` take it. Leases of the
  same bytes share it. There are no dates.
- **While it is still being uploaded** (\`Sealift-State: uploading\`) a plain GET streams what is durable and follows: with a
  declared size under its \`Content-Length\`, else chunked. A range of an upload of unknown size answers 206 with what is
  durable of it by now, at least one byte, as \`Content-Range: bytes 10-99/*\`: ask again for the rest. (A range of its last
  bytes cannot be known yet: the whole is sent.)
- **Never a short 200**: when a sender gives up, a lease is deleted or a disk fails, what has begun is cut, so that
  \`Content-Length\` or the last chunk is missing.
- **\`maxDownloads\`** counts downloads, not requests. A download is the first GET of a media, whole or range, without a grant
  that the server knows. It is taken off in one transaction before the first byte; the answer carries
  \`Sealift-Download: GRANT\`. Further GETs of that media with this header are the same download, until the grant lapses
  (\`transfer.downloadGrantTtl\`). HEAD, info, 304 and 416 never count; a GET that fails before its first byte is given
  back. Media without \`maxDownloads\` have no grants.
- **Served safely**: always \`application/octet-stream\`, attachment, \`nosniff\`, sandboxed, whatever the bytes are. \`Cache-Control\`
  is \`private, max-age=…, immutable\` where the id alone is the right (no longer than a day, or the lease), else
  \`private, no-store\`: a shared cache never keeps anything.
- A reader that takes nothing for \`transfer.idleTimeout\` is cut.

**Leases**: \`POST /v1/media/{id}/leases\` forwards: a new id, owner and expiry for the same bytes. The bytes go with their
last lease. A client is charged once for bytes that it holds any lease of.
`

export const DIRECT = `## Direct transfer

Where the operator chose \`storage.transfer: direct\`, bytes may go between client and store without passing the server. A begun
upload says \`transfer: direct\`, a manifest's answer \`Sealift-Transfer: direct\`; the ways above work as well, at any time and
mixed part by part. Elsewhere these routes answer 409 \`not_direct\`.

- **A part**: \`POST …/parts/{index}/direct\` with its size and MD5 gives a \`url\` and \`headers\`. PUT the bytes there, with
  exactly these headers and no others of Sealift's; the address takes these bytes alone, and only while nothing is
  stored in their place (412: something is; confirm it, or send the part through the server). Then \`POST …/stored\` with the
  same size and MD5: the server looks at the store, and **its 204 means durable**. 409 \`parts_missing\`: the store does not
  have it. Whoever gives the part up, or sends it through the server instead, says so by \`DELETE /v1/direct/{transferId}\`.
- **A range**: \`POST /v1/media/{id}/direct\` with \`start\` (and \`end\`) gives addresses of the parts that hold it, at most 64;
  ask again for later ones. Each takes GET, whole or by range. A media still being uploaded is followed through the server.
  \`DELETE /v1/direct/{transferId}\` says that they are done with: 204 for every id, also of a transfer that is over; 404
  \`not_found\` for what is no id.
- **Limits** hold as far as they can where nobody sees bytes move: a slot is held from the address to the confirmation (or the
  DELETE, or \`expiresAt\`); sizes and quota are checked before the address, and what it may bring stays
  charged, as stored bytes, until it has expired, however its upload ends; a byte rate is charged when it is given, which may
  make it wait, but one answer has no more than two seconds of that rate (a part that takes longer is answered \`not_direct\`);
  \`maxDownloads\` is taken before the first address.
- **An address is a right of its own** until \`expiresAt\`, also when the media ends meanwhile. Tell it to nobody.
`

export const PARCELS = `## Parcels

A parcel is a sealed manifest under one id, in versions, and the leases that end with it.

- \`POST /v1/parcels\` and \`PUT …/manifest\` take \`application/octet-stream\`: the ids of the covered media, 26 ASCII bytes each
  without a separator, then the sealed manifest. \`Sealift-Media-Count\` is the number of ids, 0 to 20,000; absent, it is 0.
  \`Content-Length\` is required; \`ttlSeconds\` of the POST is a query parameter. All media must be the caller's own; a new
  version may add media, never drop any.
- **Deprecated**: the same two requests as JSON, with the manifest as base64url beside the list of media. A body over 64 KiB
  needs a \`Content-Length\`. Servers before the raw form answer it with 415 \`unsupported_media_type\`.
- \`GET /v1/parcels/{id}\` gives the newest manifest as raw bytes; \`ETag: "3"\` and \`Sealift-Version: 3\` tell its version.
- **Replacing** needs \`If-Match: "3"\`, one version: 428 without it, 412 \`version_mismatch\` (with \`version\`) when another
  was faster.
- **Waiting**: \`If-None-Match: "3"\` with \`Prefer: wait=30\` answers as soon as there is another version, or 304 after 30 s
  (at most \`transfer.parcelWaitMax\`; \`Preference-Applied\` tells the seconds granted). A client may have as many waiting readers as
  its tier's \`queue\`; they take no download slot. Sending the manifest does.
`

export const LIMITS = `## Limits

\`GET /v1/limits\` tells what applies to the caller, what it uses and what is left, by the names that refusals use. Transfers at
once are counted per client and direction: one too many waits in line (first come, first served, \`queue\` places) and is
refused with 429 when the line is full or the wait too long. A manifest or media on its way is one download; a part, a
raw body, a whole form or a manifest on its way in one upload. Requests a second are counted per client. Bytes a second are shared by all transfers
of a client in one direction. Quota and pending uploads are checked in the transaction that charges them: never one byte over.

**Rights come first**: a request whose id is unknown, or whose token or owner secret gives no right to it, is refused before its body
is read, and before \`100 Continue\`. So is a body whose \`Content-Length\` is too large.

**Memory**: what the server buffers for a request (JSON, manifests both ways, forms) comes out of one budget, \`buffers.bytes\`,
of which each client has \`buffers.bytesPerClient\`. A request that finds it spent waits for a moment and is then refused, with
429 \`rate_limited\` (limit \`buffers.bytesPerClient\`) or 503 \`unavailable\` (limit \`buffers.bytes\`), and \`Retry-After\`.

A digest is taken in canonical base64 alone, in \`Content-Digest\` and as \`md5\`. JSON requests may have 64 KiB, 8 levels and 256 keys and elements; the deprecated ones with a manifest as many bytes as the tier's
\`manifestBytes\` needs, 2 levels and 20,016 keys and elements. JSON counts in the byte rate, and takes no upload slot. Bodies with a
\`Content-Encoding\`, URLs over 2 KiB, headers over 16 KiB or more than 100, and requests with both a length and chunks are refused.
`
