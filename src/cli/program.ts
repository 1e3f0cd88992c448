/**
 * The command line: names, options, help. What a command does is loaded only when it runs, so that `--help` and `send`
 * never load the server.
 */
import { Command, CommanderError, Option } from 'commander'

import type { CliIo } from './cli-io.ts'
import { EXIT } from './exit-codes.ts'
import * as help from './help.ts'
import { FILM_MODES, type FilmMode } from './send/send-films.ts'
import { packageVersion } from '../files/package-version.ts'
import { listenHost, nonEmpty, ttlSecondsOf, wholeNumber } from './option-values.ts'
import { reportError } from './report-error.ts'
import { sayBlock } from './terminal/writer.ts'

/** Runs one command line (without `node` and the script) and returns the exit code. Never rejects. */
export async function runCli(args: readonly string[], io: CliIo): Promise<number> {
  const outcome = { exitCode: EXIT.ok as number }
  const program = createProgram(io, async (options, command) => {
    try {
      outcome.exitCode = await command()
    } catch (error) {
      outcome.exitCode = await reportError(error, io, {
        json: options.json ?? false,
        resumes: options.resumes ?? false,
      })
    }
  })
  try {
    await program.parseAsync(args, { from: 'user' })
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage
    return reportError(error, io, { json: false, resumes: false })
  }
  return outcome.exitCode
}

interface RunOptions {
  readonly json?: boolean
  /** True when the same command, given again, goes on where this one stopped. */
  readonly resumes?: boolean
}

type Runner = (options: RunOptions, command: () => Promise<number>) => Promise<void>

function createProgram(io: CliIo, run: Runner): Command {
  const program = new Command('sealift')
    .description(help.program.about)
    .version(packageVersion(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .helpCommand('help [command]', 'print the help of a command')
    .configureOutput({ writeOut: text => sayBlock(io.stdout, text), writeErr: text => sayBlock(io.stderr, text) })
    .showSuggestionAfterError()
    .exitOverride()
    .addHelpText('after', help.program.after)
  addServe(program, io, run)
  addSend(program, io, run)
  addPublish(program, io, run)
  addGet(program, io, run)
  addPlay(program, io, run)
  addLinkCommands(program, io, run)
  addConfig(program, io, run)
  addCare(program, io, run)
  return program
}

function addServe(program: Command, io: CliIo, run: Runner): void {
  describe(program.command('serve'), help.serveHelp)
    .addOption(configOption())
    .option('--host <host>', 'address to listen on; 0.0.0.0 for all', listenHost)
    .option('--port <port>', 'port to listen on; 0: any free one', wholeNumber(0, 65_535))
    .option('--data <directory>', 'folder of all data', nonEmpty)
    .action(options => run({}, async () => (await import('./commands/serve.ts')).serve(io, options)))
}

function addSend(program: Command, io: CliIo, run: Runner): void {
  const command = describe(program.command('send'), help.sendHelp)
    .argument('<paths...>', 'files and folders; - for standard input')
    .addOption(serverOption())
    .addOption(tokenOption())
    .addOption(ttlOption())
    .addOption(maxDownloadsOption())
    .addOption(parallelOption())
    .option('--name <name>', 'the item name of standard input', nonEmpty)
    .option('--live', 'print the link first, so that receivers download during the upload')
    .addOption(filmOption('copy'))
    .option('--no-times', 'do not send modification times')
    .option('--no-previews', 'make no thumbnails of photos and films (they need ffmpeg)')
  addOutputOptions(command).action((paths, options) =>
    run({ ...options, resumes: !paths.includes('-') }, async () =>
      (await import('./commands/send.ts')).send(io, paths, options),
    ),
  )
}

function addPublish(program: Command, io: CliIo, run: Runner): void {
  const command = describe(program.command('publish'), help.publishHelp)
    .argument('<folder>', 'each file in it is published under its own link')
    .option('--watch', 'also publish files that appear later, until Ctrl-C')
    .addOption(filmOption('ladder'))
    .addOption(new Option('--at-once <n>', 'concurrent files, 1 to 32').argParser(wholeNumber(1, 32)).default(2, '2'))
    .addOption(
      new Option('--settle <seconds>', 'seconds without changes before a file is considered complete')
        .argParser(wholeNumber(0, 3600))
        .default(2, '2'),
    )
    .addOption(serverOption())
    .addOption(tokenOption())
    .addOption(ttlOption())
    .addOption(maxDownloadsOption())
    .addOption(parallelOption())
  addOutputOptions(command).action((folder, options) =>
    run({ ...options, resumes: true }, async () =>
      (await import('./commands/publish.ts')).publish(io, folder, options),
    ),
  )
}

function addGet(program: Command, io: CliIo, run: Runner): void {
  const command = describe(program.command('get'), help.getHelp)
    .argument('[link]', LINK_ABOUT)
    .addOption(new Option('-o, --output <directory>', 'where the files go').default('.').conflicts('stdout'))
    .option(
      '--only <pattern>',
      'only items whose name matches, such as "*.jpg" or "holiday/**"; may be repeated',
      collect,
    )
    .option('--hidden', 'preserve names that begin with a dot; without it .ssh becomes _.ssh')
    .option('--no-times', 'do not restore modification times')
    .addOption(new Option('--stdout', 'write the bytes of one item to standard output').conflicts('json'))
    .addOption(serverOption())
    .addOption(tokenOption())
    .addOption(directOption())
    .addOption(parallelOption())
  addOutputOptions(command).action((link, options) =>
    run({ ...options, resumes: !options.stdout }, async () =>
      (await import('./commands/get.ts')).get(io, link, options),
    ),
  )
}

function addPlay(program: Command, io: CliIo, run: Runner): void {
  const command = describe(program.command('play'), help.playHelp)
    .argument('[link]', LINK_ABOUT)
    .argument('[item]', 'its number, from 1, or a pattern for its name (default: the first film)')
    .option('--open <program>', 'start this player with the URL, and end with it', nonEmpty)
    .option('--port <port>', 'port to listen on, on this machine alone (default: any free one)', wholeNumber(0, 65_535))
    .addOption(serverOption())
    .addOption(tokenOption())
    .addOption(directOption())
  addOutputOptions(command).action((link, item, options) =>
    run(options, async () => (await import('./commands/play.ts')).play(io, { link, item }, options)),
  )
}

function addLinkCommands(program: Command, io: CliIo, run: Runner): void {
  const ls = describe(program.command('ls'), help.lsHelp).argument('[link]', LINK_ABOUT)
  addOutputOptions(ls.addOption(serverOption()).addOption(tokenOption())).action((link, options) =>
    run(options, async () => (await import('./commands/ls.ts')).ls(io, link, options)),
  )
  const forward = describe(program.command('forward'), help.forwardHelp)
    .argument('[link]', LINK_ABOUT)
    .addOption(serverOption())
    .addOption(tokenOption())
    .addOption(ttlOption())
    .addOption(maxDownloadsOption())
  addOutputOptions(forward).action((link, options) =>
    run(options, async () => (await import('./commands/forward.ts')).forward(io, link, options)),
  )
  const rm = describe(program.command('rm'), help.rmHelp)
    .argument('[links...]', `links of what was sent or forwarded from here; ${LINK_SOURCES}`)
    .addOption(serverOption())
    .addOption(tokenOption())
  addOutputOptions(rm).action((links, options) =>
    run(options, async () => (await import('./commands/rm.ts')).rm(io, links, options)),
  )
}

function addConfig(program: Command, io: CliIo, run: Runner): void {
  const config = describe(program.command('config'), help.config)
  const fileArgument = 'the configuration file; only defaults and environment without it'
  const check = describe(config.command('check'), help.configCheckHelp).argument('[file]', fileArgument)
  addJsonOption(check).action((file, options) =>
    run(options, async () => (await import('./commands/config.ts')).configCheck(io, file, options)),
  )
  const print = describe(config.command('print'), help.configPrintHelp).argument('[file]', fileArgument)
  addJsonOption(print).action((file, options) =>
    run(options, async () => (await import('./commands/config.ts')).configPrint(io, file, options)),
  )
  const token = describe(config.command('token'), help.configTokenHelp)
    .requiredOption('--subject <name>', 'the client for limits and charges', nonEmpty)
    .option('--tier <tier>', 'the tier whose limits apply', nonEmpty)
    .option('--device <device>', 'the device that uses this token', nonEmpty)
  addJsonOption(token).action(options =>
    run(options, async () => (await import('./commands/config.ts')).configToken(io, options)),
  )
}

function addCare(program: Command, io: CliIo, run: Runner): void {
  const doctor = describe(program.command('doctor'), help.doctorHelp)
    .addOption(serverOption())
    .addOption(tokenOption())
    .addOption(configOption())
    .option('--data <directory>', 'look at the server that keeps its data here', nonEmpty)
    .option('--fix', "with --config: set right what can be, such as the bucket's rules for web pages")
  addJsonOption(doctor).action(options =>
    run(options, async () => (await import('./commands/doctor.ts')).doctor(io, options)),
  )
  const fsck = describe(program.command('fsck'), help.fsckHelp)
    .addOption(configOption())
    .option('--data <directory>', 'folder of all data', nonEmpty)
    .option('--repair', 'repair what can be: delete what no record knows, end media whose bytes are gone')
    .option('--force', 'with --repair: even when that is most of what there is')
  addJsonOption(fsck).action(options =>
    run(options, async () => (await import('./commands/fsck.ts')).fsck(io, options)),
  )
}

function describe(command: Command, text: help.HelpText): Command {
  command.summary(text.summary).description(text.about)
  return text.after === '' ? command : command.addHelpText('after', text.after)
}

const LINK_SOURCES = '- for standard input, @FILE for a file (default: SEALIFT_LINK)'
const LINK_ABOUT = `what \`sealift send\` printed, between quotes; ${LINK_SOURCES}`

const serverOption = () =>
  new Option('--server <url>', 'address of the server (env: SEALIFT_SERVER)').argParser(nonEmpty)
const tokenOption = () =>
  new Option('--token <token>', 'proves who you are; better in SEALIFT_TOKEN than in sight of others').argParser(
    nonEmpty,
  )
const directOption = () =>
  new Option('--direct', "straight from the store of the link's server, though it is not yours (--server)")
const configOption = () =>
  new Option('-c, --config <file>', 'configuration file (env: SEALIFT_CONFIG)').argParser(nonEmpty)
const ttlOption = () =>
  new Option('--ttl <duration>', "how long the server keeps it: 12h, 7d, 4w (default: the server's)").argParser(
    ttlSecondsOf,
  )
const maxDownloadsOption = () =>
  new Option('--max-downloads <n>', 'how often each item may be downloaded (default: any number)').argParser(
    wholeNumber(1, 1_000_000),
  )
const filmOption = (mode: FilmMode) =>
  new Option('--film <mode>', 'copy: plays from the first second, in the quality it has; ladder: in several; file: no')
    .choices(FILM_MODES)
    .default(mode)
const parallelOption = () =>
  new Option('--parallel <n>', 'parts in flight at once, 1 to 64 (default: 6, and 32 small files)').argParser(
    wholeNumber(1, 64),
  )

function addJsonOption(command: Command): Command {
  return command.option('--json', 'print one JSON object and nothing else')
}

function addOutputOptions(command: Command): Command {
  return addJsonOption(command).option('-q, --quiet', 'say nothing but results and errors')
}

function collect(value: string, earlier: readonly string[] | undefined): string[] {
  return [...(earlier ?? []), nonEmpty(value)]
}
