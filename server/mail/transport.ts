import { createTransport } from 'nodemailer';
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
  const transporter = createTransport({
    ...server,
    ...LIMITS,
    requireTLS: !server.secure && server.auth !== undefined && !onThisMachine,
    disableFileAccess: true,
    disableUrlAccess: true,
  });
  return async ({ to, ...mail }, signal) => {
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
