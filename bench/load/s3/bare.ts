/** The SDK alone: one object per part. */
import { randomUUID } from 'node:crypto'
import type { Readable } from 'node:stream'

import { DeleteObjectCommand, GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3'

import { createBareClient } from '../../peers/engines.ts'
import { drained, inLanes, partOf, type Way, type WayOptions } from './way.ts'

export function bareWay({ place, partBytes, parallel }: WayOptions): Way {
  const client = createBareClient(place)
  const body = partOf(partBytes)
  const object = (name: string, index: number) => ({ Bucket: place.bucket, Key: `bare/${name}/${index}` })
  return {
    async upload(parts) {
      const name = randomUUID()
      await inLanes(parts, parallel, async index => {
        await client.send(new PutObjectCommand({ ...object(name, index), Body: body }))
      })
      return name
    },
    download: (name, parts) =>
      inLanes(parts, parallel, async index => {
        const { Body } = await client.send(new GetObjectCommand(object(name, index)))
        if ((await drained(Body as Readable)) !== partBytes) throw new Error('The object has another length')
      }),
    remove: (name, parts) =>
      inLanes(parts, parallel, async index => {
        await client.send(new DeleteObjectCommand(object(name, index)))
      }),
  }
}
