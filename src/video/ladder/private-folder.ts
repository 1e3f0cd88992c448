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
  /** Call it once the writer has begun or is gone: then the pipe ends with the writer. */
  letEnd(): void
}

/**
 * A folder that only this user can open (mode 0700), for one run. Each program inherits the input as an open file
 * instead of getting its path: so no name is taken for an option, a URL or a pattern, or is shown in a list of
 * processes, and no program reads another file than the one that is sent.
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

  /** URL of the input for a program that inherits it as `INPUT_DESCRIPTOR`. */
  get inputUrl(): string {
    return `file:${DESCRIPTORS}/${INPUT_DESCRIPTOR}`
  }

  /** With the protocol, so that no name can choose one. */
  url(name: string): string {
    return `file:${this.#inside(name)}`
  }

  async namedPipe(name: string, signal: AbortSignal): Promise<NamedPipe> {
    const path = this.#inside(name)
    const argv = ['mkfifo', '-m', '600', path] as const
    const { exitCode } = await runProgram({ argv, withinMs: 10_000, maxOutputBytes: 1000, signal })
    if (exitCode !== 0) throw new Error('A named pipe could not be created in the folder for temporary files')
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
    // Non-blocking: otherwise opening waits for the writer.
    const reading = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
    this.reading = new Socket({ fd: reading, readable: true, writable: false })
    // The stream over the pipe reports errors; without a listener the process would end.
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
