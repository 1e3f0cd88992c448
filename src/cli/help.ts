/** What `--help` says besides the options. */
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
    'Sends files of any kind, end-to-end encrypted, through a server that cannot read them, and brings them back: ' +
    'many at once, resumable at any moment.',
  after: `
First steps:
  $ sealift serve                                  a server on http://127.0.0.1:7325, data in ./data
  $ sealift send photo.jpg film.mp4 holiday/       prints a link
  $ sealift get LINK -o inbox                      brings all of it back

Environment:
  SEALIFT_SERVER, SEALIFT_TOKEN   defaults of --server and --token
  SEALIFT_LINK                    the link of get, ls, play, forward and rm; other users see arguments
  SEALIFT_CONFIG                  default of --config
  SEALIFT_DEBUG=1                 print where an error came from
  NO_COLOR=1                      no colours

Exit codes: 0 all of it worked, 1 something failed, 2 wrong usage, 130 stopped by Ctrl-C
`,
}

export const serve: HelpText = {
  summary: 'run a server',
  about:
    'Runs a server until it is told to stop. SIGTERM or Ctrl-C lets transfers in flight finish for a while ' +
    '(transfer.stopGrace), a second one stops at once; nothing acknowledged is lost either way. SIGHUP reads the ' +
    'configuration again without dropping a transfer.',
  after: examples(
    'sealift serve',
    'sealift serve --config /etc/sealift.yaml',
    'sealift serve --host 0.0.0.0 --port 8080 --data /srv/sealift',
    'kill -HUP $(pidof sealift)    # new limits, at once',
  ),
}

export const send: HelpText = {
  summary: 'seal and send files, print a link',
  about:
    'Seals files on this machine and sends them in parallel. The link is the last line on standard output; it holds ' +
    'the key, so whoever has it can read what was sent, and nobody else can. A folder stands for everything in it; ' +
    'symbolic links inside a folder are left out. Unless all of it can be read, nothing is sent. When it was ' +
    'interrupted, the same command goes on where it stopped.',
  after: examples(
    'sealift send photo.jpg film.mp4 talk.pdf voice.mp3',
    'sealift send holiday/ --ttl 7d --max-downloads 3',
    'sealift send film.mkv --live                  # watched while it is being sent',
    'tar c project | sealift send - --name project.tar',
    'link=$(sealift send --quiet report.pdf)',
  ),
}

export const publish: HelpText = {
  summary: 'publish what lands in a folder',
  about:
    'Sends every file of a folder under a link of its own, films in several qualities where ffmpeg is here, and prints ' +
    'the links, one a line. With --watch it goes on with whatever lands there, once it has stood still for a while; ' +
    'hidden files and those named *.part or *.tmp are left alone. A server that is away is waited for. What was ' +
    'published is remembered, so that starting it again goes on where it stopped; a file that changed is published anew.',
  after: examples('sealift publish films/', 'sealift publish /srv/channel --watch --ttl 30d --json'),
}

export const get: HelpText = {
  summary: 'receive what a link holds',
  about:
    'Receives everything a link holds into a folder, many items at once, each checked before it gets its name. Nothing ' +
    'is written outside the folder and nothing in it is overwritten. When it was interrupted, the same command goes on ' +
    'where it stopped. An item that fails leaves the others alone and makes the exit code 1.',
  after: examples(
    "sealift get 'https://media.example/p/…#…' -o inbox",
    "sealift get LINK --only '*.jpg' --only 'notes/**'",
    'sealift get LINK --stdout | tar x',
  ),
}

export const play: HelpText = {
  summary: 'play a film in any player',
  about:
    'Opens a film on this machine and gives it to any player as HLS, from the first second on and while it is still ' +
    'being sent; whatever else a link holds is given as a plain file. The address is the last line on standard output. ' +
    'It works on this machine alone and until Ctrl-C; whoever knows it can watch, so treat it like the link.',
  after: examples(
    "sealift play 'https://media.example/p/…#…' --open mpv",
    "sealift play LINK 'holiday/*.mp4'",
    'sealift play LINK 2 --port 8080',
  ),
}

export const ls: HelpText = {
  summary: 'list what a link holds',
  about: 'Lists the items of a link without receiving any of them. It does not count as a download.',
  after: examples('sealift ls LINK', "sealift ls LINK --json | jq -r '.items[].name'"),
}

export const forward: HelpText = {
  summary: 'make a new link to the same items',
  about:
    'Makes a new link, with its own key and its own expiry, to the items of another one. No bytes are copied. The new ' +
    'link is the last line on standard output; it stays when the old one is deleted.',
  after: examples('sealift forward LINK --ttl 24h --max-downloads 1'),
}

export const rm: HelpText = {
  summary: 'delete what was sent',
  about:
    'Deletes what a link holds from the server. It takes the account (token) that sent it, or the machine and user it ' +
    'was sent from without one.',
  after: examples('sealift rm LINK'),
}

export const config: HelpText = {
  summary: 'check or print the configuration, make tokens',
  about: 'Looks at the configuration of a server, without starting one.',
  after: '',
}

export const configCheck: HelpText = {
  summary: 'say everything that is wrong',
  about:
    'Checks a configuration file, the environment and the defaults together, and tells all mistakes at once. The exit ' +
    'code is 1 when there is one.',
  after: examples('sealift config check /etc/sealift.yaml'),
}

export const configPrint: HelpText = {
  summary: 'print what is in force',
  about: 'Prints the complete configuration as YAML: file, environment and defaults together, secrets left out.',
  after: examples('sealift config print /etc/sealift.yaml', 'sealift config print > sealift.yaml'),
}

export const configToken: HelpText = {
  summary: 'make a token',
  about:
    'Makes a new token and prints it together with the entry for the configuration, which holds only its hash. The ' +
    'token is shown once: keep it safe and give it to its user.',
  after: examples('sealift config token --subject alice', 'sealift config token --subject backup --tier large'),
}

export const doctor: HelpText = {
  summary: 'find out why something does not work',
  about:
    'Looks at the way to the server: whether it answers, its clock, the limits that apply, and a tiny item sent, ' +
    'received, compared and deleted. With --config or --data it looks at the server of this machine instead: disk or S3 ' +
    'service, records, shared limits, ports. The exit code is 1 when something is wrong.',
  after: examples(
    'sealift doctor',
    'sealift doctor --server https://media.example',
    'sealift doctor --config /etc/sealift.yaml',
    'sealift doctor --config /etc/sealift.yaml --fix',
  ),
}

export const fsck: HelpText = {
  summary: "check a server's records and stored bytes against each other",
  about:
    'Compares records and stored bytes, in files or in an S3 service: missing or damaged media, bytes nobody knows, ' +
    'wrong charges. Needed after a restore. Without --repair nothing is changed. The exit code is 1 while something is ' +
    'wrong.',
  after: examples('sealift fsck', 'sealift fsck --config /etc/sealift.yaml --repair'),
}
