/** The prose of docs/manifest.md, between which scripts/make-manifest-docs.ts puts the tables of the schemas. */

export const HEAD = `# The manifest, version 1

<!-- Made by scripts/make-manifest-docs.ts from src/client: change the tables there, the prose in scripts/manifest-prose.ts. -->

What is shared, as only holders of a link's key read it: names, types, sizes, keys, hashes, previews, and how films are laid out.
A manifest is UTF-8 JSON, padded with zeros and sealed as role \`manifest\` ([format.md](format.md)) with the 32 bytes behind the \`#\` of
\`https://host/p/PARCEL#KEY\` (base64url). The server keeps it as a [parcel](protocol.md#parcels), in versions: each is sealed
anew, with the same key and a fresh salt.

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

- **A higher \`v\` is refused** (\`unsupported_version\`), with the advice to update: what it changes is not known.
- **Unknown fields are kept**, at every level: they may be added without a new \`v\`, so nobody may depend on others' understanding
  them, and whoever forwards an item passes on what it does not understand itself.
- **Nothing is trusted.** Whoever made a link may have written anything. A manifest outside of the bounds below is refused as a whole
  (\`invalid_manifest\`), and no value is ever shown in an error, since it may be a key. A name may hold \`..\`, slashes and control characters: a
  receiver writes only inside the folder it was given, and never over a file. A type decides nothing that could run. Sizes and
  hashes are believed when the bytes agree.
- **A film is read leniently.** When \`video\` is outside of its bounds, the item is a file like any other, and can be downloaded.
- **While something is being sent** (an item's \`state\`, its film's, or an \`original\` without \`runs\`), new versions follow, one every
  \`everySeconds\` at least. An item keeps its place in the list. What was said to be there stays there.

Numbers of bytes and of seconds are of plaintext unless a field says otherwise. Ids are those of the [protocol](protocol.md). Keys, hashes and
commitments are 32 bytes as base64url without padding.
`

export const ITEMS = `An item that is still being sent leaves out what is not known yet. With \`media\`, \`key\`, \`commit\` and \`chunkBytes\` its bytes can be followed
while they arrive; \`sha256\` comes with the end.
`

export const ORIGINAL = `The item's own bytes are then a film that can be played, and the file it was made of is put together from those and from \`runs\`:
[format.md](format.md#original) says how. Everything that brings an item back brings this file.
`

export const FILM = `In \`video\` of an item. A [track](#track) is one fragmented MP4: its initialization segment, then segments that begin at key frames, each of
them playable with the initialization segment before it. How tracks are made and played is in [video.md](video.md).
`

export const TRACK = `A track without \`media\` is the item's own bytes. Segments follow each other in the file; while a film is being sent, a segment is named
when each of its bytes is durable, and the list only grows.
`
