//! The five functions: names, default limits, who may call them, and how long a call may last.

/// A call that lasts longer than this is answered with 202, and its work goes on.
pub const LONGEST_WAIT_SECONDS: u64 = 24;

/// A role in a tenant. A string that is none of these gives no permission at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Owns the tenant.
    Owner,
    /// Administers it.
    Admin,
    /// Makes backups, looks at the past, tests recovery.
    Operator,
    /// Reads.
    Viewer,
}

impl Role {
    /// The role of that name, if there is one.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "owner" => Some(Self::Owner),
            "admin" => Some(Self::Admin),
            "operator" => Some(Self::Operator),
            "viewer" => Some(Self::Viewer),
            _ => None,
        }
    }

    /// The name as stored.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Admin => "admin",
            Self::Operator => "operator",
            Self::Viewer => "viewer",
        }
    }
}

/// One of the five edge functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FunctionName {
    /// `backup-create`
    BackupCreate,
    /// `backup-restore`
    BackupRestore,
    /// `pitr-restore`
    PitrRestore,
    /// `pitr-rollback`
    PitrRollback,
    /// `recovery-test`
    RecoveryTest,
}

impl FunctionName {
    /// All five.
    pub const ALL: [Self; 5] = [
        Self::BackupCreate,
        Self::BackupRestore,
        Self::PitrRestore,
        Self::PitrRollback,
        Self::RecoveryTest,
    ];

    /// The name in the URL.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BackupCreate => "backup-create",
            Self::BackupRestore => "backup-restore",
            Self::PitrRestore => "pitr-restore",
            Self::PitrRollback => "pitr-rollback",
            Self::RecoveryTest => "recovery-test",
        }
    }

    /// The function of that name, if there is one.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|function| function.as_str() == name)
    }

    /// Requests per tenant and hour, unless the deployment says otherwise.
    #[must_use]
    pub const fn default_hourly_limit(self) -> u32 {
        match self {
            Self::BackupCreate => 10,
            Self::BackupRestore | Self::PitrRollback => 5,
            Self::PitrRestore => 3,
            Self::RecoveryTest => 20,
        }
    }

    /// May a member with this role call it? A dry run of the two PITR functions only looks, so an
    /// operator may do that too.
    #[must_use]
    pub const fn allows(self, role: Role, dry_run: bool) -> bool {
        match role {
            Role::Owner | Role::Admin => true,
            Role::Operator => match self {
                Self::BackupCreate | Self::RecoveryTest => true,
                Self::PitrRestore | Self::PitrRollback => dry_run,
                Self::BackupRestore => false,
            },
            Role::Viewer => false,
        }
    }
}

impl std::fmt::Display for FunctionName {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.as_str())
    }
}
