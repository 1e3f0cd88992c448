/**
 * The only place that writes text to the streams of a command. Whatever reaches it may hold the words of a server or of
 * a link's sender, so all of it is made harmless here: no caller has to think of it. Escape sequences come from here
 * alone, in frames.
 */
import { OutputClosed } from '../exit-codes.ts'
import { printable, safeJson } from './text.ts'

/** The part of `process.stderr` that is used here. */
export interface TextStream {
  write(text: string): unknown
}

/** A piece of a line; `colour` is a parameter of "select graphic rendition". */
export type Piece = string | { readonly text: string; readonly colour: '1' | '2' | '33' | '36' }

export type StyledLine = readonly Piece[]

/**
 * One message. What follows a line break is indented, so that nothing in it looks like a message of its own, such as
 * the success that a server's words pretend.
 */
export function say(stream: TextStream, message: string): void {
  stream.write(`${messageText(message)}\n`)
}

/** A block whose lines are all our own, such as help. */
export function sayBlock(stream: TextStream, text: string): void {
  stream.write(text.split('\n').map(printable).join('\n'))
}

/** Results, one a line; a line break in one of them is no line break. Resolves when the stream took them. */
export async function printLines(stream: NodeJS.WritableStream, lines: readonly string[]): Promise<void> {
  await writeAll(stream, lines.map(line => `${printable(line)}\n`).join(''))
}

/** One object for programs, in one line. */
export async function printJson(stream: NodeJS.WritableStream, value: object): Promise<void> {
  await writeAll(stream, `${safeJson(value)}\n`)
}

/** Bytes of a file, as they are. */
export async function printBytes(stream: NodeJS.WritableStream, bytes: Uint8Array): Promise<void> {
  await writeAll(stream, bytes)
}

export interface Frame {
  /** How many lines the frame before has drawn, which this one takes away. */
  readonly erase: number
  /** A message that stays, above the frame. */
  readonly message?: string
  readonly lines: readonly StyledLine[]
}

/** Draws lines in place of those of the frame before. One write, so that nothing flickers. */
export function draw(stream: TextStream, { erase, message, lines }: Frame): void {
  const kept = message === undefined ? '' : `${messageText(message)}\n`
  const text = eraser(erase) + kept + lines.map(styled).join('\n')
  if (text !== '') stream.write(text)
}

/** A line as the terminal gets it. */
export function styled(line: StyledLine): string {
  return line
    .map(piece =>
      typeof piece === 'string' ? printable(piece) : `\x1b[${piece.colour}m${printable(piece.text)}\x1b[0m`,
    )
    .join('')
}

function messageText(message: string): string {
  return message
    .split('\n')
    .map((line, index) => printable(index === 0 || line.startsWith('  ') ? line : `  ${line}`))
    .join('\n')
}

/** To the first column of the first line drawn, clearing all below. */
function eraser(lines: number): string {
  if (lines === 0) return ''
  return `\r${lines > 1 ? `\x1b[${lines - 1}A` : ''}\x1b[J`
}

/** @throws OutputClosed if the reader has closed it */
function writeAll(stream: NodeJS.WritableStream, chunk: string | Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    stream.write(chunk, error => {
      if (!error) resolve()
      else reject(isBrokenPipe(error) ? new OutputClosed('stdout was closed') : error)
    })
  })
}

export function isBrokenPipe(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'EPIPE' || error.code === 'ERR_STREAM_DESTROYED')
}
