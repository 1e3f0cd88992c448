/** Which suites run on S3, PostgreSQL and Valkey with two nodes as well, chosen by `SEALIFT_TEST_STORES=cluster`. */
import { missingRequirements, type Requirement } from './requirements.ts'

/** Those that look at a server from outside, as its clients do. */
export const CLUSTER_SUITES = ['test/{http,e2e}/**/*.test.ts']

/** Of these, what is about one machine alone, or brings its own stores; and why. */
export const NOT_ON_CLUSTER: Readonly<Record<string, string>> = {
  'test/e2e/chaos-*.test.ts': 'starts engines of its own, to break them',
  'test/e2e/{s3,postgres}-{doctor,fsck,restore}.test.ts': 'chooses its stores itself',
  'test/e2e/cli-backup.test.ts': 'is about files and SQLite',
  'test/e2e/cli-{local-token,ports}.test.ts': 'is about the user of one machine',
  'test/e2e/{cli-old-node,ffmpeg-cli-start}.test.ts': 'starts no server',
  'test/e2e/{cli-play,ffmpeg-play,mpv-play,play-*}.test.ts': 'is about what players of this machine are given',
  'test/e2e/cli-fsck-sqlite.test.ts': 'is about an older SQLite file',
  'test/e2e/disk-full.test.ts': 'is about a local disk that is full',
  'test/e2e/failing-sync.test.ts': 'is about a local disk that fails',
  'test/e2e/file-size-limit.test.ts': 'is about a local disk',
  'test/e2e/nginx-*.test.ts': 'is about files that nginx sends',
  'test/e2e/{postgres,valkey}-*.test.ts': 'chooses its stores itself',
  'test/e2e/s3-!(direct)*.test.ts': 'chooses its stores itself',
}

const CLUSTER_ENGINES = ['PostgreSQL', "Ceph's S3 gateway", 'Valkey or Redis']

export const missingEngines = (): readonly Requirement[] =>
  missingRequirements().filter(({ name }) => CLUSTER_ENGINES.includes(name))
