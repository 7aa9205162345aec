import { isEmail } from '../text/email.ts';

/** Where mails are handed over. */
export interface MailServer {
  host: string;
  port: number;
  /** TLS from the first byte on; otherwise STARTTLS where the server offers it. */
  secure: boolean;
  /** With a password, STARTTLS is required unless the server is on this machine. */
  auth?: { user: string; pass: string };
}

/** Who mails are from. */
export interface MailSender {
  name: string;
  address: string;
}

/** What `SMTP_URL` names; undefined if it is not the address of a mail server. */
export function mailServer(value: string): MailServer | undefined {
  if (!/^smtps?:\/\/[^\s/?#]+\/?$/i.test(value) || !URL.canParse(value)) return undefined;
  const { protocol, hostname, port, username, password } = new URL(value);
  if (hostname === '' || (username === '') !== (password === '')) return undefined;
  const secure = protocol === 'smtps:';
  const server = {
    host: hostname.replaceAll(/^\[|\]$/g, ''),
    port: port === '' ? (secure ? 465 : 587) : Number(port),
    secure,
  };
  if (username === '') return server;
  try {
    return { ...server, auth: { user: decodeURIComponent(username), pass: decodeURIComponent(password) } };
  } catch {
    return undefined;
  }
}

/** What `MAIL_FROM` names: `news@example.org` or `Tidings <news@example.org>`. Undefined if it is neither. */
export function mailSender(value: string): MailSender | undefined {
  const [, name = '', address = value] = /^([^<>"\p{C}]*)<([^<>]*)>$/u.exec(value) ?? [];
  return isEmail(address) ? { name: name.trim(), address } : undefined;
}
