import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import * as z from 'zod'

import { isId } from '../../protocol/ids.ts'
import { localError, unless } from './local-error.ts'
import { stateFolder } from './state-directory.ts'

const ownedSchema = z.looseObject({ ownerSecret: z.string(), expiresAt: z.iso.datetime() })

/** The owner secrets of parcels that were sent from here, one file each, readable by this user alone. */
export class OwnedParcels {
  readonly #stateDirectory: string

  constructor(stateDirectory: string) {
    this.#stateDirectory = stateDirectory
  }

  /** @throws local_file */
  async remember(parcel: { parcelId: string; ownerSecret: string; expiresAt: string }): Promise<void> {
    const folder = await this.#folder()
    const path = join(folder, `${parcel.parcelId}.json`)
    const { ownerSecret, expiresAt } = parcel
    await writeFile(path, JSON.stringify({ ownerSecret, expiresAt }), { mode: 0o600 }).catch((error: unknown) => {
      throw localError('The owner secret cannot be kept', path, error)
    })
    await this.#forgetExpired(folder)
  }

  async secretOf(parcelId: string): Promise<string | undefined> {
    return isId(parcelId) ? (await readOwned(join(await this.#folder(), `${parcelId}.json`)))?.ownerSecret : undefined
  }

  async forget(parcelId: string): Promise<void> {
    if (isId(parcelId)) await rm(join(await this.#folder(), `${parcelId}.json`), { force: true })
  }

  #folder(): Promise<string> {
    return stateFolder(this.#stateDirectory, 'parcels')
  }

  async #forgetExpired(folder: string): Promise<void> {
    for (const name of await readdir(folder)) {
      const path = join(folder, name)
      const owned = await readOwned(path)
      if (owned && Date.parse(owned.expiresAt) < Date.now()) await rm(path, { force: true })
    }
  }
}

async function readOwned(path: string): Promise<z.infer<typeof ownedSchema> | null> {
  const text = await unless(readFile(path, 'utf8'), 'ENOENT')
  if (text === null) return null
  try {
    return ownedSchema.parse(JSON.parse(text))
  } catch {
    return null
  }
}
