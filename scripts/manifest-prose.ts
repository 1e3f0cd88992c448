/** The prose of docs/manifest.md, between which scripts/make-manifest-docs.ts puts the tables of the schemas. */

export const HEAD = `# The manifest, version 1

<!-- Made by scripts/make-manifest-docs.ts from src/client: change the tables there, the prose in scripts/manifest-prose.ts. -->

The sealed description of a parcel: names, types, sizes, keys, hashes, previews, and the layout of films. Only holders of a link's key
can read it. A manifest is UTF-8 JSON, padded with zeros and sealed as role \`manifest\` ([format.md](format.md)) with the 32 bytes behind the
\`#\` of \`https://host/p/PARCEL#KEY\` (base64url). The server stores it in versions as a [parcel](protocol.md#parcels). Each version is sealed
again, with the same key and a fresh salt.

\`\`\`json
{
  "v": 1,
  "createdAt": "2026-03-01T12:00:00.000Z",
  "items": [
    {
      "name": "holiday/boat.jpg",
      "type": "image/jpeg",
      "state": "complete",
      "bytes": 2000000,
      "media": "abcdefghijklmnopqrstuvwxyz",
      "key": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",
      "chunkBytes": 262144,
      "sealedBytes": 2062749,
      "sha256": "ffl_53ZLHLIbCLXZutSXEpiZ8BaEEgLFbf8JS3zLxgk",
      "commit": "nNBvD00urm5zxsGuw9Smyuhdo1im7sxw5-BwgMiQtCU",
      "preview": { "thumbHash": "1QcSHQRnh493V4dIh4eXh1h4kJUI", "width": 4000, "height": 3000 }
    }
  ]
}
\`\`\`

## What a reader does

- **A higher \`v\` is refused** (\`unsupported_version\`), with the advice to update: the reader does not know what it changes.
- **Unknown fields are preserved**, at every level. Fields may be added without a new \`v\`. So no field may require that readers understand
  it, and a client that forwards an item passes on fields that it does not understand.
- **Nothing is trusted.** The maker of a link may have written anything. A manifest outside of the bounds below is refused
  (\`invalid_manifest\`), and no error shows a value, because it may be a key. A name may contain \`..\`, slashes and control characters: a
  receiver writes only inside its target folder, and never over a file. A type never makes anything run. Sizes and
  hashes are trusted only when the bytes agree.
- **A film is read leniently.** If \`video\` is outside of its bounds, the item is a plain file that can be downloaded.
- **While something is being sent** (the \`state\` of an item or of its film is \`sending\`, or \`original\` has no \`runs\`), new versions follow, at
  least one every \`everySeconds\`. An item keeps its position in the list. What one version announces stays in the later ones.

Numbers of bytes and of seconds are of plaintext unless a field says otherwise. Ids are those of the [protocol](protocol.md). Keys, hashes and
commitments are 32 bytes as base64url without padding.
`

export const ITEMS = `An item that is still being sent omits what is not known yet. With \`media\`, \`key\`, \`commit\` and \`chunkBytes\` a receiver can follow its
bytes; \`sha256\` comes with the end.
`

export const ORIGINAL = `The item's own bytes are a playable film. A receiver rebuilds the original file from those bytes and from \`runs\`, as
[format.md](format.md#original) describes. Every download of the item returns the original file.
`

export const FILM = `In \`video\` of an item. A [track](#track) is one fragmented MP4: its initialization segment, then segments that begin at key frames. Each
segment is playable after the initialization segment. [video.md](video.md) describes how tracks are made and played.
`

export const TRACK = `A track without \`media\` is the item's own bytes. Segments follow each other in the file. While a film is being sent, the list contains
a segment once all of its bytes are durable, and only grows.
`
