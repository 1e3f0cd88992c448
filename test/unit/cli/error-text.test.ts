import { mkdtempSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { describe, expect, it } from 'vitest'

import { EXIT, Interrupted, OutputClosed, UsageError } from '../../../src/cli/exit-codes.ts'
import { explain, scrub, stackOf } from '../../../src/cli/error-text.ts'
import { reportError } from '../../../src/cli/report-error.ts'
import { SealiftError } from '../../../src/protocol/errors.ts'
import { fakeIo } from './fake-io.ts'

const KEY = 'A'.repeat(43)

function thrownBy(run: () => unknown): unknown {
  try {
    run()
  } catch (error) {
    return error
  }
  throw new Error('it did not throw')
}

describe('explain', () => {
  it('keeps code and message of our own errors, and adds what to do', () => {
    const explanation = explain(new SealiftError('unauthorized', 'A valid token is needed.'))
    expect(explanation).toEqual({
      code: 'unauthorized',
      message: 'A valid token is needed.',
      hint: 'Give a token with --token or SEALIFT_TOKEN. A server on this machine takes the user that runs it without one, if XDG_STATE_HOME is the same for both.',
    })
  })

  it('says which limit refused', () => {
    const context = { limit: 'maxBytes.image', value: 512 * 2 ** 20, remaining: 0, retryAfterSeconds: 3 }
    const explanation = explain(new SealiftError('too_large', 'Larger than the limit.', { context }))
    expect(explanation).toMatchObject(context)
    expect(explanation.hint).toContain('512 MiB (the limit maxBytes.image)')
  })

  it('puts errors of the system in plain words, with the path', () => {
    const missing = join(mkdtempSync(join(tmpdir(), 'sealift-explain-')), 'missing')
    expect(explain(thrownBy(() => readFileSync(missing)))).toEqual({
      code: 'local_file',
      message: `${missing}: it does not exist.`,
    })
  })

  it('names no path that the system did not name', () => {
    expect(explain(Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' })).message).toBe('The disk is full.')
  })

  it('does not advise to repeat what only another version can do', () => {
    for (const context of [{ missing: ['0002'] }, { unknown: ['0099'] }])
      expect(explain(new SealiftError('unavailable', 'Of another version', { context })).hint).toBeUndefined()
    expect(explain(new SealiftError('unavailable', 'Not now')).hint).toContain('Try again')
  })

  it('does not pretend to know what it does not', () => {
    expect(explain(new TypeError('x is not a function'))).toMatchObject({ code: 'unexpected' })
    expect(explain('thrown text')).toMatchObject({ code: 'unexpected' })
  })

  it('never shows the key of a link or a token', () => {
    const error = new SealiftError('network', `GET http://h/p/x#${KEY} with Authorization: Bearer secret-token failed`)
    expect(JSON.stringify(explain(error))).not.toMatch(/AAAA|secret-token/)
    expect(stackOf(new Error('outer', { cause: error }))).not.toMatch(/AAAA|secret-token/)
    expect(scrub(`see #${KEY}, and #12`)).toBe('see #…, and #12')
  })
})

describe('reportError', () => {
  const options = { json: false, resumes: true }

  it('says what happened and what to do on stderr, and responds 1', async () => {
    const io = fakeIo()
    expect(await reportError(new SealiftError('network', 'The server is gone.'), io, options)).toBe(EXIT.failed)
    expect(io.err()).toBe(
      [
        'sealift: The server is gone.',
        'Check that the server runs and that its address is right; `sealift doctor` looks closer.',
        'The same command goes on where this one stopped.\n',
      ].join('\n'),
    )
    expect(io.out()).toBe('')
  })

  it('does not promise to go on where a command cannot', async () => {
    const io = fakeIo()
    await reportError(new SealiftError('network', 'Gone.'), io, { json: false, resumes: false })
    expect(io.err()).not.toContain('goes on')
  })

  it('writes one object on stdout with --json', async () => {
    const io = fakeIo()
    await reportError(new SealiftError('gone', 'Expired.'), io, { ...options, json: true })
    expect(JSON.parse(io.out())).toMatchObject({ ok: false, error: { code: 'gone', message: 'Expired.' } })
  })

  it('returns 2 for wrong usage', async () => {
    expect(await reportError(new UsageError('No.'), fakeIo(), options)).toBe(EXIT.usage)
  })

  it('returns 130 when stopped by Ctrl-C, with the hint that the same command goes on', async () => {
    const io = fakeIo()
    io.abort.abort(new Interrupted('SIGINT'))
    expect(await reportError(new SealiftError('aborted', 'Stopped by the caller'), io, options)).toBe(EXIT.interrupted)
    expect(io.err()).toBe('Stopped. The same command goes on where this one stopped.\n')
  })

  it('says in one line that its output is no longer read', async () => {
    const io = fakeIo()
    expect(await reportError(new OutputClosed('gone'), io, options)).toBe(EXIT.failed)
    expect(io.err()).toBe('sealift: Stopped, because the output was closed.\n')
    expect(io.out()).toBe('')
  })

  it('shows a stack only when it is asked for', async () => {
    const plain = fakeIo()
    await reportError(new TypeError('odd'), plain, options)
    expect(plain.err()).not.toContain('    at ')
    const debug = fakeIo({ SEALIFT_DEBUG: '1' })
    await reportError(new TypeError('odd'), debug, options)
    expect(debug.err()).toContain('    at ')
  })
})
