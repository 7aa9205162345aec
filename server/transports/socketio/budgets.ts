/** Tokens that one user may spend at once, and that come back every second. */
const BURST = 400;
const PER_SECOND = 200;
/** Items of a list that cost as much as a message. */
const ITEMS_PER_TOKEN = 100;

/** What one user may ask over all sockets of this node: each has its own limit, but one may open a thousand of them. */
export class UserBudgets {
  readonly #budgets = new Map<number, { tokens: number; at: number }>();
  readonly #limited: boolean;

  constructor(limited: boolean) {
    this.#limited = limited;
  }

  /** @param items in the lists of the message: to look at them is what a message costs */
  allows(userId: number, items: number): boolean {
    if (!this.#limited) return true;
    const now = performance.now();
    const budget = this.#budgets.get(userId) ?? { tokens: BURST, at: now };
    budget.tokens = Math.min(BURST, budget.tokens + ((now - budget.at) / 1000) * PER_SECOND);
    budget.at = now;
    this.#budgets.set(userId, budget);
    if (budget.tokens < 1) return false;
    budget.tokens -= 1 + items / ITEMS_PER_TOKEN;
    return true;
  }

  /** Lets go of the budgets that nobody has drawn on for so long that they are full. */
  sweep(): void {
    const full = performance.now() - (BURST / PER_SECOND) * 1000;
    for (const [userId, { at }] of this.#budgets) if (at < full) this.#budgets.delete(userId);
  }
}
