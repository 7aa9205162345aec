import type { Transaction } from 'sequelize';
import type { User } from '../../models/index.ts';
import type { NewMail, Outbox } from '../mail/outbox.ts';

/**
 * Sends the owner of a webhook a mail about it, with the transaction: to an address that was proved, since a stranger's would be
 * sent what others have chosen, and three of a kind an hour.
 * @param owner locked
 */
export async function tellOwner(mails: Outbox, tx: Transaction, owner: User, mail: NewMail): Promise<void> {
  if (owner.emailVerifiedAt !== null) await mails.tell(tx, owner, mail);
}
