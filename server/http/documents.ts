import type { Router } from 'express';
import type { Route } from './route.ts';
export function mountDocuments(_router: Router, _routes: readonly Route[]): void {}
