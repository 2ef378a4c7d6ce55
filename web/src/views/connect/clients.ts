/**
 * What is pasted into which client. The same in substance as "Connect an AI agent" in the README.
 *
 * The key stands in what only its user reads: a command, a shell's environment, a client's own settings. A file that
 * belongs into a repository names where the key is instead.
 */
export interface Connection {
  /** Of the tools, with the profile. */
  url: string;
  key: string;
}

export interface Step {
  /** What to do with it. */
  text: string;
  code?: string;
  /** A link that has the client ask whether to add it. */
  install?: { label: string; href: string };
}

export interface Client {
  id: string;
  title: string;
  steps: (connection: Connection) => Step[];
  /** What else is good to know. */
  note?: string;
}

const NAME = 'trackside';
const VARIABLE = 'TRACKSIDE_API_KEY';

const json = (value: unknown): string => JSON.stringify(value, null, 2);
const exported = ({ key }: Connection): Step => ({ text: 'Give the key to the shell that starts it:', code: `export ${VARIABLE}=${key}` });
const bearer = (key: string) => ({ Authorization: `Bearer ${key}` });

/** Text as base64, whatever is in it. */
const base64 = (text: string): string => btoa(String.fromCharCode(...new TextEncoder().encode(text)));

/** The form of Cursor's install links. The key goes into the user's own settings, not into a repository. */
export const cursorLink = ({ url, key }: Connection): string =>
  `cursor://anysphere.cursor-deeplink/mcp/install?name=${NAME}&config=${encodeURIComponent(base64(JSON.stringify({ url, headers: bearer(key) })))}`;

const vscodeInputs = [{ id: 'trackside-key', type: 'promptString', description: 'Trackside API key', password: true }];
const vscodeServer = (url: string) => ({ type: 'http', url, headers: bearer('${input:trackside-key}') });

/** The form of VS Code's install links. It asks for the key, and keeps it in its own safe. */
export const vscodeLink = ({ url }: Connection): string =>
  `vscode:mcp/install?${encodeURIComponent(JSON.stringify({ name: NAME, ...vscodeServer(url), inputs: vscodeInputs }))}`;

export const clients: Client[] = [
  {
    id: 'claude-code',
    title: 'Claude Code',
    steps: ({ url, key }) => [
      {
        text: 'Run this in a terminal, in the folder of your repository:',
        code: `claude mcp add --transport http ${NAME} "${url}" --header "Authorization: Bearer ${key}"`,
      },
      { text: 'Start claude there and ask it: "Which projects does Trackside know?"' },
    ],
    note: 'A person who sits at the client needs no key: leave out --header, then run "claude mcp login trackside", which opens the browser. It then acts in their name.',
  },
  {
    id: 'cursor',
    title: 'Cursor',
    steps: (connection) => [
      { text: 'Let Cursor add it to its own settings, key included:', install: { label: 'Install in Cursor', href: cursorLink(connection) } },
      {
        text: 'Or put this into .cursor/mcp.json of a repository, which names the key instead of holding it:',
        code: json({ mcpServers: { [NAME]: { url: connection.url, headers: bearer(`\${env:${VARIABLE}}`) } } }),
      },
      { ...exported(connection), text: 'With the file, Cursor finds the key in its environment:' },
    ],
  },
  {
    id: 'vs-code',
    title: 'VS Code',
    steps: (connection) => [
      { text: 'Let VS Code add it. It asks for the key, and keeps it:', install: { label: 'Install in VS Code', href: vscodeLink(connection) } },
      {
        text: 'Or put this into .vscode/mcp.json of a repository; it asks for the key when it starts:',
        code: json({ inputs: vscodeInputs, servers: { [NAME]: vscodeServer(connection.url) } }),
      },
      { text: 'This is what it asks for:', code: connection.key },
    ],
  },
  {
    id: 'codex',
    title: 'Codex',
    steps: (connection) => [
      {
        text: 'Put this into ~/.codex/config.toml:',
        code: `[mcp_servers.${NAME}]\nurl = "${connection.url}"\nbearer_token_env_var = "${VARIABLE}"`,
      },
      exported(connection),
    ],
  },
  {
    id: 'json',
    title: 'Other clients',
    steps: ({ url, key }) => [
      {
        text: 'Most clients that speak MCP over HTTP take this, in a file of their own:',
        code: json({ mcpServers: { [NAME]: { type: 'http', url, headers: bearer(key) } } }),
      },
    ],
    note: 'Transport: Streamable HTTP. The file holds the key: keep it out of the repository.',
  },
  {
    id: 'stdio',
    title: 'Over stdio',
    steps: ({ key }) => [
      {
        text: 'A client that only starts programs runs the service’s own binary, on the machine where the database is:',
        code: json({ mcpServers: { [NAME]: { command: NAME, args: ['mcp'], env: { [VARIABLE]: key } } } }),
      },
      { text: 'To try it by hand, in the folder of the service:', code: `${VARIABLE}=${key} trackside mcp` },
    ],
    note: 'Relative paths of the settings start from the folder that the client starts it in. From elsewhere, add DATABASE_URL to env with the whole path. It lists all tools, whatever the profile; the key decides what they may do.',
  },
];
