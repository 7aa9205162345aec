import type { MailSender, MailServer } from '../config/mail-config.ts';
import type { MailContent } from './outbox.ts';

/** Time limits of a mail server. Milliseconds. */
const LIMITS = {
  dnsTimeout: 5000,
  connectionTimeout: 10_000,
  greetingTimeout: 10_000,
  socketTimeout: 15_000,
  socketCloseTimeout: 1000,
};

/** A mail as it is handed over. */
export interface OutgoingMail extends MailContent {
  /** The same for each try. */
  messageId: string;
  date: Date;
}

/** Hands a mail over, and resolves when it has been accepted. */
export type Transport = (mail: OutgoingMail, signal: AbortSignal) => Promise<void>;

/** Over SMTP, one connection for each mail. */
export function smtpTransport(server: MailServer, from: MailSender): Transport {
  const onThisMachine = /^(localhost|127\.\d+\.\d+\.\d+|::1)$/i.test(server.host);
  const open = async () =>
    (await import('nodemailer')).createTransport({
      ...server,
      ...LIMITS,
      requireTLS: !server.secure && server.auth !== undefined && !onThisMachine,
      disableFileAccess: true,
      disableUrlAccess: true,
    });
  // Loaded with the first mail: no start waits for it. A load that failed is tried again with the next.
  let opened: Awaited<ReturnType<typeof open>> | undefined;
  return async ({ to, ...mail }, signal) => {
    const transporter = (opened ??= await open());
    await transporter.sendMail({
      ...mail,
      from,
      // As an object: nothing in an address is taken for a list.
      to: { name: '', address: to },
      headers: { 'Auto-Submitted': 'auto-generated' },
      signal,
    });
  };
}

/** In development, without a mail server: onto the terminal, and into no log. */
export const terminalTransport: Transport = ({ to, subject, text }) => {
  process.stdout.write(`\nA mail to ${to} (SMTP_URL is not set)\nSubject: ${subject}\n\n${text}\n`);
  return Promise.resolve();
};

/** Whether a mail server has refused this recipient or this mail for good (RFC 5321: 5xx), and not us. */
export function isRefusal(error: unknown): boolean {
  const { code, responseCode } = error as { code?: unknown; responseCode?: unknown };
  return (code === 'EENVELOPE' || code === 'EMESSAGE') && Number(responseCode) >= 500;
}

/** Before anything of a mail has been said: what these say is of the connection alone. */
const OF_THE_CONNECTION = ['ECONNECTION', 'EDNS', 'ESOCKET', 'ETIMEDOUT', 'ETLS'];

/** What to look at when mails cannot be sent, in words without address, text or password. Undefined: the code says it. */
export function reasonOf(error: unknown): string | undefined {
  const { code, command, message } = error as { code?: string; command?: string; message?: string };
  if (code === 'EAUTH') return 'the mail server refuses the login of SMTP_URL';
  const connects = command === 'CONN' || command === 'STARTTLS';
  return connects && OF_THE_CONNECTION.includes(code ?? '') ? message?.slice(0, 200) : undefined;
}
