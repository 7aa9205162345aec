/** What is hashed of a password: the same for each of the ways in which keyboards send one letter (RFC 8265: NFC). */
export function passwordForm(password: string): string {
  return password.normalize('NFC');
}

/**
 * The forms in which a password may have been hashed, each once: the one of today, as it was typed, and decomposed as some
 * systems type it. How many there are depends on the password alone, and tells nothing about a user.
 */
export function passwordForms(password: string): string[] {
  return [...new Set([passwordForm(password), password, password.normalize('NFD')])];
}
