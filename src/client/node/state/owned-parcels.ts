import { createHash } from 'node:crypto'
import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import * as z from 'zod'

import { isId } from '../../../protocol/ids.ts'
import { parseLink } from '../../link.ts'
import { localError, unless } from '../files/local-error.ts'
import { stateFolder } from './state-directory.ts'

const ownedSchema = z.looseObject({
  /** Absent in files of versions that kept a secret by the parcel's id alone. */
  server: z.string().optional(),
  ownerSecret: z.string(),
  expiresAt: z.iso.datetime(),
})

const FOLDER = 'parcels'
/** A state directory that cannot be read holds nothing. */
const NOT_THERE = ['ENOENT', 'ENOTDIR', 'EACCES', 'EPERM']

/** A parcel on one server: any server may give out any id. */
export interface OwnedPlace {
  /** Base URL. */
  readonly server: string
  readonly parcelId: string
}

/** What is kept for the same parcel id, but not for this server. */
export interface ElsewhereOwned {
  readonly servers: readonly string[]
  /** One that was kept without its server. */
  readonly withoutServer: boolean
}

/**
 * The owner secrets of parcels that were sent from here, one file each, readable by this user alone. A secret is given
 * out for its own server only.
 */
export class OwnedParcels {
  readonly #stateDirectory: string
  readonly #folder: string

  constructor(stateDirectory: string) {
    this.#stateDirectory = stateDirectory
    this.#folder = join(stateDirectory, FOLDER)
  }

  /** @throws local_file */
  async remember(parcel: { link: string; ownerSecret: string; expiresAt: string }): Promise<void> {
    const { server, parcelId } = parseLink(parcel.link)
    const path = join(await stateFolder(this.#stateDirectory, FOLDER), fileName({ server, parcelId }))
    const { ownerSecret, expiresAt } = parcel
    const text = JSON.stringify({ server, parcelId, ownerSecret, expiresAt })
    await writeFile(path, text, { mode: 0o600 }).catch((error: unknown) => {
      throw localError('The owner secret cannot be kept', path, error)
    })
    await this.#forgetExpired()
  }

  /**
   * @param vouched the server that the user names as the one the parcel was sent to: without it, a secret that was kept
   *   without its server is not given out
   */
  async secretOf(place: OwnedPlace, vouched?: string): Promise<string | undefined> {
    if (!isId(place.parcelId)) return undefined
    const owned = await this.#read(fileName(place))
    if (owned?.server === place.server) return owned.ownerSecret
    if (vouched !== place.server) return undefined
    return (await this.#read(oldFileName(place)))?.ownerSecret
  }

  /** Why `secretOf` gave nothing, where it may seem that it should have. */
  async elsewhere({ server, parcelId }: OwnedPlace): Promise<ElsewhereOwned> {
    if (!isId(parcelId)) return { servers: [], withoutServer: false }
    const names = (await this.#names()).filter(name => name.startsWith(`${parcelId}.`))
    const owned = await Promise.all(names.map(name => this.#read(name)))
    const servers = owned.flatMap(each => each?.server ?? [])
    return {
      servers: servers.filter(each => each !== server),
      withoutServer: owned.some(each => each !== null && each.server === undefined),
    }
  }

  /** @param vouched as for `secretOf` */
  async forget(place: OwnedPlace, vouched?: string): Promise<void> {
    if (!isId(place.parcelId)) return
    await rm(join(this.#folder, fileName(place)), { force: true })
    if (vouched === place.server) await rm(join(this.#folder, oldFileName(place)), { force: true })
  }

  async #forgetExpired(): Promise<void> {
    for (const name of await this.#names()) {
      const owned = await this.#read(name)
      if (owned && Date.parse(owned.expiresAt) < Date.now()) await rm(join(this.#folder, name), { force: true })
    }
  }

  async #names(): Promise<string[]> {
    return (await unless(readdir(this.#folder), ...NOT_THERE)) ?? []
  }

  async #read(name: string): Promise<z.infer<typeof ownedSchema> | null> {
    const text = await unless(readFile(join(this.#folder, name), 'utf8'), ...NOT_THERE)
    if (text === null) return null
    try {
      return ownedSchema.parse(JSON.parse(text))
    } catch {
      return null
    }
  }
}

function fileName({ server, parcelId }: OwnedPlace): string {
  return `${parcelId}.${createHash('sha256').update(server).digest('hex').slice(0, 32)}.json`
}

function oldFileName({ parcelId }: OwnedPlace): string {
  return `${parcelId}.json`
}
