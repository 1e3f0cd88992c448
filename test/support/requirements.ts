/**
 * What a suite needs besides npm packages. vitest.config.ts leaves out the files of a requirement that is missing,
 * and scripts/test.ts says so plainly (with CI=true it is a failure). Test files themselves check nothing.
 */
import { spawnSync } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

import { postgresPrograms } from './engines/postgres.ts'
import { canMountSmallDisk } from './small-disk.ts'

export interface Requirement {
  readonly name: string
  /** Debian packages that bring it; `.ci/run` installs them. */
  readonly packages: readonly string[]
  /** How to get what no Debian package brings. Only long suites may need it. */
  readonly otherwise?: string
  /** Globs of the test files that cannot run without it. */
  readonly files: readonly string[]
  readonly present: () => boolean
}

/** The path of Debian's Chromium, or of the one named by `SEALIFT_CHROMIUM`; `null` when there is none. */
export function chromiumPath(): string | null {
  const named = process.env['SEALIFT_CHROMIUM']
  if (named !== undefined) return isExecutable(named) ? named : null
  return findOnPath('chromium') ?? findOnPath('chromium-browser')
}

/** The path of schemathesis, or of the one named by `SEALIFT_TEST_SCHEMATHESIS`; `null` when there is none. */
export function schemathesisPath(): string | null {
  const named = process.env['SEALIFT_TEST_SCHEMATHESIS']
  if (named !== undefined) return isExecutable(named) ? named : null
  return findOnPath('schemathesis')
}

/** Suites that need all three services of a cluster. */
const CLUSTER = 'test/**/chaos-*.test.ts'

export const requirements: readonly Requirement[] = [
  {
    name: 'Chromium',
    packages: ['chromium'],
    files: ['test/browser/**/*.test.ts'],
    present: () => chromiumPath() !== null,
  },
  {
    name: 'ffmpeg',
    packages: ['ffmpeg'],
    files: ['test/**/ffmpeg-*.test.ts'],
    present: () => findOnPath('ffmpeg') !== null,
  },
  {
    name: 'a private mount namespace (util-linux, and the right to make one)',
    packages: ['util-linux', 'mount'],
    files: ['test/e2e/disk-full.test.ts'],
    present: canMountSmallDisk,
  },
  {
    name: 'strace (and the right to trace)',
    packages: ['strace'],
    files: ['test/e2e/failing-sync.test.ts'],
    present: () =>
      findOnPath('strace') !== null && spawnSync('strace', ['-qq', '-e', 'trace=none', 'true']).status === 0,
  },
  {
    name: 'nginx',
    packages: ['nginx-light'],
    files: ['test/**/nginx-*.test.ts'],
    present: () => findOnPath('nginx') !== null,
  },
  {
    name: 'mpv',
    packages: ['mpv', 'ffmpeg'],
    files: ['test/**/mpv-*.test.ts'],
    present: () => ['mpv', 'ffmpeg'].every(each => findOnPath(each) !== null),
  },
  {
    name: 'PostgreSQL',
    packages: ['postgresql'],
    files: ['test/**/postgres-*.test.ts', CLUSTER],
    present: () => postgresPrograms() !== null,
  },
  {
    name: "Ceph's S3 gateway",
    packages: ['radosgw', 'ceph-mon', 'ceph-osd', 'ceph-mgr', 'ceph-common'],
    files: ['test/**/s3-*.test.ts', CLUSTER],
    present: () =>
      ['radosgw', 'radosgw-admin', 'ceph-mon', 'ceph-osd', 'ceph-mgr', 'ceph'].every(each => findOnPath(each) !== null),
  },
  {
    name: 'Valkey or Redis',
    packages: ['redis-server'],
    files: ['test/**/valkey-*.test.ts', CLUSTER],
    present: () => (findOnPath('valkey-server') ?? findOnPath('redis-server')) !== null,
  },
  {
    name: 'schemathesis',
    packages: [],
    otherwise: 'pip install schemathesis',
    files: ['test/long/schemathesis-*.test.ts'],
    present: () => schemathesisPath() !== null,
  },
]

export const missingRequirements = (): readonly Requirement[] => requirements.filter(each => !each.present())

/** Of those, what a run lacks: the short one does without what only long suites need. */
export const missingFor = (run: 'short' | 'long'): readonly Requirement[] =>
  missingRequirements().filter(({ otherwise }) => run === 'long' || otherwise === undefined)

/** The full path of a program on the PATH, or `null`. */
export function findOnPath(program: string): string | null {
  const folders = (process.env['PATH'] ?? '').split(delimiter)
  return folders.map(folder => join(folder, program)).find(isExecutable) ?? null
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
