/// The schemas of the three files. A published step never changes; a new version is a new step at the end.
enum Schema {
    static let sessions = [
        """
        CREATE TABLE sessions (
          id TEXT PRIMARY KEY NOT NULL,
          kind TEXT NOT NULL CHECK (kind IN ('global', 'application')),
          token_digest BLOB NOT NULL UNIQUE,
          previous_token_digest BLOB,
          previous_until INTEGER,
          global_id TEXT REFERENCES sessions (id) ON DELETE CASCADE,
          application TEXT,
          host TEXT NOT NULL,
          identity_provider TEXT NOT NULL,
          issuer TEXT NOT NULL,
          subject TEXT NOT NULL,
          email TEXT,
          name TEXT,
          groups TEXT NOT NULL,
          claims TEXT NOT NULL,
          id_token TEXT,
          authenticated_at INTEGER NOT NULL,
          created_at INTEGER NOT NULL,
          expires_at INTEGER NOT NULL,
          device_id TEXT,
          device_thumbprint TEXT,
          statement TEXT,
          CHECK ((kind = 'application') = (global_id IS NOT NULL))
        ) STRICT;
        CREATE INDEX sessions_previous ON sessions (previous_token_digest)
          WHERE previous_token_digest IS NOT NULL;
        CREATE INDEX sessions_global ON sessions (global_id) WHERE global_id IS NOT NULL;
        CREATE INDEX sessions_person ON sessions (issuer, subject);
        CREATE INDEX sessions_email ON sessions (email) WHERE email IS NOT NULL;
        CREATE INDEX sessions_device ON sessions (device_id) WHERE device_id IS NOT NULL;
        CREATE INDEX sessions_expiry ON sessions (expires_at);
        CREATE TABLE nonces (
          digest BLOB PRIMARY KEY NOT NULL,
          expires_at INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX nonces_expiry ON nonces (expires_at);
        CREATE TABLE devices (
          id TEXT PRIMARY KEY NOT NULL,
          owner_issuer TEXT NOT NULL,
          owner_subject TEXT NOT NULL,
          owner_email TEXT,
          platform TEXT,
          key_thumbprint TEXT NOT NULL UNIQUE,
          certificate_serial TEXT NOT NULL,
          enrolled_at INTEGER NOT NULL,
          certificate_not_after INTEGER NOT NULL,
          counter INTEGER NOT NULL,
          is_revoked INTEGER NOT NULL CHECK (is_revoked IN (0, 1))
        ) STRICT;
        CREATE TABLE device_pins (
          kind TEXT NOT NULL,
          value TEXT NOT NULL,
          device_id TEXT NOT NULL REFERENCES devices (id) ON DELETE CASCADE,
          PRIMARY KEY (kind, value)
        ) STRICT, WITHOUT ROWID;
        CREATE UNIQUE INDEX device_pins_device ON device_pins (device_id, kind);
        CREATE TABLE enrollment_tokens (
          digest BLOB PRIMARY KEY NOT NULL,
          issuer TEXT NOT NULL,
          subject TEXT NOT NULL,
          email TEXT,
          expected_serial TEXT,
          expires_at INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;
        """,
        """
        ALTER TABLE devices ADD COLUMN superseded_by TEXT;
        DELETE FROM device_pins WHERE device_id IN (SELECT id FROM devices WHERE is_revoked = 1);
        """,
        """
        CREATE TABLE service_tokens (
          id TEXT PRIMARY KEY NOT NULL,
          name TEXT NOT NULL,
          digest BLOB NOT NULL UNIQUE CHECK (length(digest) = 32),
          created_at INTEGER NOT NULL,
          expires_at INTEGER NOT NULL,
          last_used_at INTEGER
        ) STRICT;
        """,
        """
        CREATE TABLE person_accounts (
          sequence INTEGER PRIMARY KEY NOT NULL,
          issuer TEXT NOT NULL,
          subject TEXT NOT NULL,
          account TEXT NOT NULL,
          UNIQUE (issuer, subject)
        ) STRICT;
        CREATE INDEX person_accounts_account ON person_accounts (issuer, account);
        """,
        // What providers call their sessions stands in claims, too; a logout token must not have to read them all.
        """
        CREATE TABLE provider_sessions (
          session_id TEXT PRIMARY KEY NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
          provider TEXT NOT NULL,
          sid TEXT NOT NULL
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX provider_sessions_sid ON provider_sessions (provider, sid);
        INSERT INTO provider_sessions (session_id, provider, sid)
          SELECT id, identity_provider, json_extract(claims, '$.sid.text._0') FROM sessions
          WHERE kind = 'global' AND json_type(claims, '$.sid.text._0') = 'text'
            AND json_extract(claims, '$.sid.text._0') <> '';
        CREATE TABLE endings (
          kind TEXT NOT NULL,
          owner TEXT NOT NULL,
          name TEXT NOT NULL,
          at INTEGER NOT NULL,
          PRIMARY KEY (kind, owner, name)
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX endings_at ON endings (at);
        CREATE INDEX sessions_provider ON sessions (identity_provider, subject);
        CREATE INDEX sessions_application ON sessions (application) WHERE application IS NOT NULL;
        """,
        """
        ALTER TABLE sessions ADD COLUMN key_proven_at INTEGER;
        ALTER TABLE sessions ADD COLUMN secret_until INTEGER;
        CREATE TABLE session_keys (
          session_id TEXT PRIMARY KEY NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
          jwk TEXT NOT NULL,
          registered_at INTEGER NOT NULL
        ) STRICT;
        """,
        """
        CREATE TABLE session_refreshes (
          session_id TEXT PRIMARY KEY NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
          identity_provider TEXT NOT NULL,
          due_at INTEGER,
          refreshed_at INTEGER NOT NULL,
          unanswered_since INTEGER,
          failing_since INTEGER,
          failure TEXT,
          failure_count INTEGER NOT NULL,
          sealed_token TEXT NOT NULL
        ) STRICT;
        CREATE INDEX session_refreshes_due ON session_refreshes (identity_provider, due_at)
          WHERE due_at IS NOT NULL;
        """,
        """
        CREATE TABLE revoked_certificates (
          serial TEXT PRIMARY KEY NOT NULL,
          at INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;
        """,
        // Keys that enrolled before this lie in files.
        """
        ALTER TABLE devices ADD COLUMN key_level TEXT NOT NULL DEFAULT 'software';
        ALTER TABLE devices ADD COLUMN chip_id TEXT;
        ALTER TABLE devices ADD COLUMN is_chip_maker_known INTEGER NOT NULL DEFAULT 0;
        """,
        """
        CREATE TABLE statement_times (
          device TEXT PRIMARY KEY NOT NULL,
          issued_at INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX statement_times_issued ON statement_times (issued_at);
        """,
        """
        CREATE TABLE ended_cookies (
          sequence INTEGER PRIMARY KEY AUTOINCREMENT,
          token_digest BLOB NOT NULL,
          host TEXT NOT NULL,
          session_id TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
          UNIQUE (token_digest, session_id)
        ) STRICT;
        CREATE INDEX ended_cookies_session ON ended_cookies (session_id, sequence);
        """,
        StoredRevocationList.table,
        RevokedPin.table,
        """
        CREATE INDEX session_refreshes_failing ON session_refreshes (identity_provider, failing_since)
          WHERE failing_since IS NOT NULL;
        """,
        // What was noted before this counts as noted since whatever was under way then.
        """
        CREATE TABLE ending_counts (count INTEGER NOT NULL) STRICT;
        INSERT INTO ending_counts (count) VALUES (1);
        ALTER TABLE endings ADD COLUMN number INTEGER NOT NULL DEFAULT 1;
        ALTER TABLE session_refreshes ADD COLUMN endings_known INTEGER;
        """,
        """
        CREATE TABLE browser_names (
          name TEXT NOT NULL,
          session_id TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
          PRIMARY KEY (name, session_id)
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX browser_names_session ON browser_names (session_id);
        INSERT OR IGNORE INTO browser_names (name, session_id)
          SELECT known.value, sessions.id
          FROM sessions, json_each(sessions.claims, '$."gatepost-browser".list._0') AS known
          WHERE sessions.kind = 'global';
        """,
        """
        ALTER TABLE ending_counts ADD COLUMN forgotten INTEGER NOT NULL DEFAULT 0;
        CREATE INDEX session_refreshes_unanswered ON session_refreshes (endings_known)
          WHERE unanswered_since IS NOT NULL;
        """,
    ]

    static let verdicts = [
        """
        CREATE TABLE verdicts (
          integration TEXT NOT NULL,
          native_id TEXT NOT NULL,
          state TEXT NOT NULL,
          observed_at INTEGER NOT NULL,
          fetched_at INTEGER NOT NULL,
          expires_at INTEGER NOT NULL,
          record TEXT NOT NULL,
          PRIMARY KEY (integration, native_id)
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE sync_states (
          integration TEXT PRIMARY KEY NOT NULL,
          completed_at INTEGER NOT NULL,
          delta_link TEXT
        ) STRICT, WITHOUT ROWID;
        """,
        // Rows of text became rows of bytes before anything was released: what providers said is read again.
        """
        DROP TABLE verdicts;
        DELETE FROM sync_states;
        CREATE TABLE verdict_records (
          integration TEXT NOT NULL,
          native_id TEXT NOT NULL,
          record BLOB NOT NULL,
          PRIMARY KEY (integration, native_id)
        ) STRICT, WITHOUT ROWID;
        """,
    ]

    static let audit = [
        """
        CREATE TABLE audit (
          sequence INTEGER PRIMARY KEY AUTOINCREMENT,
          kind TEXT NOT NULL,
          at INTEGER NOT NULL,
          record TEXT NOT NULL
        ) STRICT;
        CREATE TRIGGER audit_is_append_only BEFORE UPDATE ON audit
        BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END;
        """
    ]
}
