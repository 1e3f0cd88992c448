/** The text of `--help` beside the options. */
export interface HelpText {
  /** In the list of commands. */
  readonly summary: string
  /** Above the options. */
  readonly about: string
  /** Below the options: examples. */
  readonly after: string
}

function examples(...lines: readonly string[]): string {
  return `\nExamples:\n${lines.map(line => `  $ ${line}`).join('\n')}\n`
}

export const program: Omit<HelpText, 'summary'> = {
  about:
    'Sends files of any kind, end-to-end encrypted, through a server that cannot read them, and receives them: ' +
    'many at once, resumable at any point.',
  after: `
First steps:
  $ sealift serve                                  a server on http://127.0.0.1:7325, data in ./data
  $ sealift send photo.jpg film.mp4 holiday/       prints a link
  $ sealift get LINK -o inbox                      downloads all of it

Environment:
  SEALIFT_SERVER, SEALIFT_TOKEN   defaults of --server and --token
  SEALIFT_LINK                    the link of get, ls, play, forward and rm; other users see arguments
  SEALIFT_CONFIG                  default of --config
  SEALIFT_DEBUG=1                 print where an error came from
  NO_COLOR=1                      no colours

Exit codes: 0 everything worked, 1 something failed, 2 wrong usage, 130 stopped by Ctrl-C
`,
}

export const serveHelp: HelpText = {
  summary: 'run a server',
  about:
    'Runs a server. SIGTERM or Ctrl-C lets transfers in flight continue for transfer.stopGrace; a second one stops at ' +
    'once. Acknowledged bytes are safe in both cases. SIGHUP reloads the configuration without dropping a transfer.',
  after: examples(
    'sealift serve',
    'sealift serve --config /etc/sealift.yaml',
    'sealift serve --host 0.0.0.0 --port 8080 --data /srv/sealift',
    'kill -HUP $(pidof sealift)    # new limits, at once',
  ),
}

export const sendHelp: HelpText = {
  summary: 'seal and send files, print a link',
  about:
    'Seals files on this machine and sends them in parallel. The link is the last line on standard output; it holds ' +
    'the key, so anyone with the link can read what was sent, and no one else can. A folder includes everything in it, ' +
    'except symbolic links. If a file cannot be read, nothing is sent. After an interruption, the same command ' +
    'resumes.',
  after: examples(
    'sealift send photo.jpg film.mp4 talk.pdf voice.mp3',
    'sealift send holiday/ --ttl 7d --max-downloads 3',
    'sealift send film.mkv --live                  # watched while it is being sent',
    'tar c project | sealift send - --name project.tar',
    'link=$(sealift send --quiet report.pdf)',
  ),
}

export const publishHelp: HelpText = {
  summary: 'publish the files of a folder',
  about:
    'Sends every file of a folder under its own link, films in several qualities where ffmpeg is installed, and prints ' +
    'the links, one per line. --watch also publishes files that appear later, once they have not changed for --settle ' +
    'seconds. Hidden files and those named *.part or *.tmp are skipped. It retries while the server is unreachable. ' +
    'A restart continues where it stopped; a file that changed is published again.',
  after: examples('sealift publish films/', 'sealift publish /srv/channel --watch --ttl 30d --json'),
}

export const getHelp: HelpText = {
  summary: 'receive what a link holds',
  about:
    'Downloads all items of a link into a folder, many at once, each verified before it gets its name. Nothing is ' +
    'written outside the folder and nothing in it is overwritten. After an interruption, the same command resumes. ' +
    'A failed item does not affect the others; the exit code is then 1.',
  after: examples(
    "sealift get 'https://media.example/p/…#…' -o inbox",
    "sealift get LINK --only '*.jpg' --only 'notes/**'",
    'sealift get LINK --stdout | tar x',
  ),
}

export const playHelp: HelpText = {
  summary: 'play a film in any player',
  about:
    'Decrypts a film on this machine and serves it to any player as HLS, from the first second, also while it is still ' +
    'being sent. Other items are served as plain files. The URL is the last line on standard output. It works on this ' +
    'machine only, until Ctrl-C. Anyone with the URL can watch, so treat it like the link.',
  after: examples(
    "sealift play 'https://media.example/p/…#…' --open mpv",
    "sealift play LINK 'holiday/*.mp4'",
    'sealift play LINK 2 --port 8080',
  ),
}

export const lsHelp: HelpText = {
  summary: 'list what a link holds',
  about: 'Lists the items of a link without downloading them. It does not count as a download.',
  after: examples('sealift ls LINK', "sealift ls LINK --json | jq -r '.items[].name'"),
}

export const forwardHelp: HelpText = {
  summary: 'make a new link to the same items',
  about:
    'Makes a new link, with its own key and its own expiry, to the items of another one. No bytes are copied. The new ' +
    'link is the last line on standard output. It works after the old one is deleted, unless that has --max-downloads.',
  after: examples('sealift forward LINK --ttl 24h --max-downloads 1'),
}

export const rmHelp: HelpText = {
  summary: 'delete what was sent',
  about:
    'Deletes the items of a link from the server. It requires the token of the send or, for a send without a token, ' +
    'the same user and machine.',
  after: examples('sealift rm LINK'),
}

export const config: HelpText = {
  summary: 'check or print the configuration, make tokens',
  about: 'Reads the configuration of a server, without starting one.',
  after: '',
}

export const configCheckHelp: HelpText = {
  summary: 'list all mistakes',
  about:
    'Checks a configuration file, the environment and the defaults together, and lists all mistakes. The exit code is ' +
    '1 if there is one.',
  after: examples('sealift config check /etc/sealift.yaml'),
}

export const configPrintHelp: HelpText = {
  summary: 'print the effective configuration',
  about: 'Prints the complete configuration as YAML: file, environment and defaults together, without secrets.',
  after: examples('sealift config print /etc/sealift.yaml', 'sealift config print > sealift.yaml'),
}

export const configTokenHelp: HelpText = {
  summary: 'make a token',
  about:
    'Makes a new token and prints it together with the entry for the configuration, which holds only its hash. The ' +
    'token is shown once: keep it safe and give it to its user.',
  after: examples('sealift config token --subject alice', 'sealift config token --subject backup --tier large'),
}

export const doctorHelp: HelpText = {
  summary: 'find out why something does not work',
  about:
    'Checks the connection to the server: its response, its clock, the limits that apply, and a tiny item sent, ' +
    'received, compared and deleted. With --config or --data it checks the server of this machine instead: disk or S3 ' +
    'service, records, shared limits, ports. The exit code is 1 if something is wrong.',
  after: examples(
    'sealift doctor',
    'sealift doctor --server https://media.example',
    'sealift doctor --config /etc/sealift.yaml',
    'sealift doctor --config /etc/sealift.yaml --fix',
  ),
}

export const fsckHelp: HelpText = {
  summary: "compare a server's records with its stored bytes",
  about:
    'Compares records with stored bytes, in files or in an S3 service: missing or damaged media, orphans, wrong ' +
    'charges. Needed after a restore. Without --repair nothing is changed. The exit code is 1 while something is wrong.',
  after: examples('sealift fsck', 'sealift fsck --config /etc/sealift.yaml --repair'),
}
