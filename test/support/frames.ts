import { Ajv, type ValidateFunction } from 'ajv';
import addFormats from 'ajv-formats';
import type { Socket } from 'socket.io-client';
import { eventTypes } from '../../server/event-registry.ts';
import { type AsyncApiDocument, asyncApiDocument } from '../../server/docs/asyncapi.ts';
import { tally } from '../../server/votes/schemas.ts';
import { noteEvents } from './note-events.ts';

/** The document as it is served. */
export const socketDocument: AsyncApiDocument = asyncApiDocument(eventTypes, { tally }, '0.0.0');

/** The document that frames are held against: with the events of the tests' own capability. */
const heldDocument = asyncApiDocument([...eventTypes, ...noteEvents], { tally }, '0.0.0');

/** AsyncAPI's own dialect is JSON Schema draft 07. */
const ajv = new Ajv({ strict: true, strictRequired: false, allowUnionTypes: true, allErrors: true });
addFormats.default(ajv);
ajv.addVocabulary(Object.keys(heldDocument));
ajv.addSchema(heldDocument, 'urn:tidings:socket', false, false);

const compiled = new Map<string, ValidateFunction>();

/** What the document does not let through of a message's payload, in a sentence; undefined if it lets it through. */
export function payloadFault(key: string, payload: unknown): string | undefined {
  let validate = compiled.get(key);
  if (!validate) {
    validate = ajv.compile({ $ref: `urn:tidings:socket#/components/messages/${key}/payload` });
    compiled.set(key, validate);
  }
  return validate(payload) ? undefined : `${key}: ${ajv.errorsText(validate.errors)}`;
}

const keys = new Map(Object.entries(heldDocument.components.messages).map(([key, { name }]) => [name, key]));

const answerKeys = [...keys].filter(([name]) => name.endsWith(' (acknowledgement)')).map(([, key]) => key);

/**
 * Holds one frame of the wire (Engine.IO 4, Socket.IO 5, as text) against the document.
 * @param direction from the server's side, as AsyncAPI tells it
 * @param asked the requests in flight by the number of their acknowledgement: what is received goes in, what answers goes out.
 * Without them an answer may be that to any request
 * @returns a fault in a sentence, or what it was: a message of the document, or `undefined` for what Socket.IO says to itself
 */
export function validateFrame(
  direction: 'send' | 'receive',
  frame: string,
  asked: Map<number, string> | undefined,
): { fault: string } | { message: string } | undefined {
  const found = /^4([0-9])(\d+)?(.*)$/s.exec(frame);
  if (!found) return undefined; // open, ping, pong, close
  // There is one namespace. Socket.IO itself refuses anyone who asks for another.
  if (/^4[0-9]\//.test(frame)) {
    const outside = direction === 'receive' || /^44\/.*,\{"message":"Invalid namespace"\}$/s.test(frame);
    return outside ? undefined : { fault: 'something said in another namespace' };
  }
  const [, type, number, text = ''] = found;
  const body = text === '' ? undefined : (JSON.parse(text) as unknown);
  const held = (key: string, payload: unknown) => {
    const fault = payloadFault(key, payload);
    return fault === undefined ? { message: key } : { fault };
  };
  if (type === '0') return direction === 'receive' ? held('connect', body) : undefined;
  if (type === '4') return held('connectError', body);
  if (type === '3') {
    if (!asked)
      return (
        answerKeys.map((key) => held(key, body)).find((result) => 'message' in result) ??
        held('trackAnswer', body)
      );
    const name = asked.get(Number(number));
    asked.delete(Number(number));
    const key = name === undefined ? undefined : keys.get(`${name} (acknowledgement)`);
    // A request that does not exist is answered too, and refused.
    return key === undefined ? held('trackAnswer', body) : held(key, body);
  }
  if (type !== '2') return undefined; // leaving the namespace
  const [name, ...args] = body as [string, ...unknown[]];
  if (direction === 'receive' && number !== undefined) asked?.set(Number(number), name);
  const key = keys.get(name);
  const told = Object.values(heldDocument.operations).some(
    ({ action, title }) => action === direction && title === name,
  );
  if (key === undefined || !told) return { fault: `"${name}" is not in the document` };
  return held(key, args);
}

/** What went over the wire of one socket. */
export interface WatchedFrames {
  /** Messages of the document by how often they were seen. */
  seen: Map<string, number>;
  /** Of what the server said, each once. */
  faults: string[];
  /** Of what the client said: a test may mean to. */
  clientFaults: string[];
}

/** Watches every frame of a stock client. To be called before it connects. */
export function watchFrames(socket: Socket): WatchedFrames {
  const watched: WatchedFrames = { seen: new Map(), faults: [], clientFaults: [] };
  const asked = new Map<number, string>();
  const look = (direction: 'send' | 'receive', frame: unknown) => {
    if (typeof frame !== 'string') return;
    const result = validateFrame(direction, frame, asked);
    if (!result) return;
    if ('message' in result) {
      watched.seen.set(result.message, (watched.seen.get(result.message) ?? 0) + 1);
      return;
    }
    const faults = direction === 'send' ? watched.faults : watched.clientFaults;
    if (!faults.includes(result.fault)) faults.push(result.fault);
  };
  const attach = () => {
    const { engine } = socket.io;
    engine.on('packet', ({ type, data }) => type === 'message' && look('send', `4${String(data)}`));
    engine.on('packetCreate', ({ type, data }) => type === 'message' && look('receive', `4${String(data)}`));
  };
  // The manager opens in the same tick as it is made: its engine is there already, and another after each reconnection.
  if (socket.io.engine) attach();
  socket.io.on('reconnect_attempt', () => queueMicrotask(attach));
  return watched;
}
