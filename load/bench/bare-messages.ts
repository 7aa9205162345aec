/** What the bench and a bare server say to each other. */
export type ToBareServer =
  /** Write one frame with this text to every socket. */
  | { type: 'tell'; text: string }
  /** Answer this from now on. */
  | { type: 'answer'; body: string };

export interface FromBareServer {
  type: 'listening';
  url: string;
}
