/** Which accounts are being exported, and until when the export holds its place unless it renews it. */
export const accountExportTables = [
  `create table account_exports (
     user_id bigint primary key references users (id) on delete cascade,
     holder uuid not null,
     expires_at timestamptz not null
   )`,
];
