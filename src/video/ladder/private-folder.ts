import { closeSync, constants, openSync } from 'node:fs'
import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises'
import { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import type { FileSource } from '../../client/node/files/file-source.ts'
import { CannotPackage } from '../packager.ts'
import { INPUT_DESCRIPTOR, runProgram } from './run-program.ts'

const DESCRIPTORS = process.platform === 'linux' ? '/proc/self/fd' : '/dev/fd'

/** A pipe with a name, so that a program can write to it as to a file. */
export interface NamedPipe extends Disposable {
  /** For ffmpeg. */
  readonly url: string
  readonly reading: Socket
  /** To be called once the writer has begun or is gone: from then on, its end is the end. */
  letEnd(): void
}

/**
 * A folder that only this user can open (mode 0700), for one run. The input is no path but an open file that each
 * program inherits, so that no name of the user's is ever taken for an option, an address or a pattern, or seen in a list
 * of processes, and so that no program reads another file than the one that is sent.
 */
export class PrivateFolder implements AsyncDisposable {
  readonly path: string
  readonly input: FileSource

  private constructor(path: string, input: FileSource) {
    this.path = path
    this.input = input
  }

  /** @throws CannotPackage when `input` holds nothing */
  static async around(input: FileSource): Promise<PrivateFolder> {
    if (input.sizeBytes === 0) throw new CannotPackage('The file is empty')
    return new PrivateFolder(await mkdtemp(join(tmpdir(), 'sealift-ladder-')), input)
  }

  /** What a program that inherits the input as `INPUT_DESCRIPTOR` opens. */
  get inputUrl(): string {
    return `file:${DESCRIPTORS}/${INPUT_DESCRIPTOR}`
  }

  /** The protocol is told, so that no name can choose one. */
  url(name: string): string {
    return `file:${this.#inside(name)}`
  }

  async namedPipe(name: string, signal: AbortSignal): Promise<NamedPipe> {
    const path = this.#inside(name)
    const argv = ['mkfifo', '-m', '600', path] as const
    const { exitCode } = await runProgram({ argv, withinMs: 10_000, maxOutputBytes: 1000, signal })
    if (exitCode !== 0) throw new Error('A pipe could not be made in the folder for temporary files')
    return new OpenPipe(path, this.url(name))
  }

  /** `null` when there is no such file. */
  async read(name: string): Promise<Uint8Array<ArrayBuffer> | null> {
    try {
      return new Uint8Array(await readFile(this.#inside(name)))
    } catch {
      return null
    }
  }

  /** Names that begin with `prefix`, sorted. */
  async names(prefix: string): Promise<string[]> {
    return (await readdir(this.path)).filter(name => name.startsWith(prefix)).sort()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.path, { recursive: true, force: true })
  }

  #inside(name: string): string {
    return join(this.path, name)
  }
}

class OpenPipe implements NamedPipe {
  readonly url: string
  readonly reading: Socket
  #writing: number | null

  constructor(path: string, url: string) {
    this.url = url
    // Not blocking: opening for reading would otherwise wait for the writer.
    const reading = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
    this.reading = new Socket({ fd: reading, readable: true, writable: false })
    // Whoever reads sees its end in every error as well; the stream over it tells why.
    this.reading.on('error', () => undefined)
    // A writer of our own keeps the pipe from ending before ffmpeg has opened it.
    this.#writing = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK)
  }

  letEnd(): void {
    if (this.#writing === null) return
    closeSync(this.#writing)
    this.#writing = null
  }

  [Symbol.dispose](): void {
    this.letEnd()
    this.reading.destroy()
  }
}
