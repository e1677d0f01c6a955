//! What a descriptor, a ticket or a put asks for.

use super::error;
use super::statement::{HANDLE_BYTES_MAX, Statement};
use arrow_flight::flight_descriptor::DescriptorType;
use arrow_flight::sql::{Any, Command};
use arrow_flight::{FlightDescriptor, Ticket};
use prost::Message;
use tonic::Status;

/// Names, kinds and patterns that one question about the catalog may list.
const LISTED_MAX: usize = 1000;
/// Longest name or pattern of a question about the catalog; a pattern is compiled.
const NAME_BYTES_MAX: usize = 1000;

/// What is wanted.
#[derive(Debug)]
pub(super) enum Asked {
    Statement(Statement),
    /// `SELECT *` of the table of this name: how Flight without SQL asks.
    Table(String),
    /// A question about the catalog.
    Metadata(Command),
}

pub(super) fn of_descriptor(descriptor: &FlightDescriptor) -> Result<Asked, Status> {
    match (descriptor.r#type(), descriptor.path.as_slice()) {
        (DescriptorType::Path, [table]) => Ok(Asked::Table(table.clone())),
        (DescriptorType::Cmd, _) => of_command(command(&descriptor.cmd)?),
        _ => Err(error::invalid("give a Flight SQL command, or the name of a table as the path")),
    }
}

pub(super) fn of_ticket(ticket: &Ticket) -> Result<Asked, Status> {
    of_command(command(&ticket.ticket)?)
}

/// The Flight SQL message within a descriptor's command or a ticket.
pub(super) fn command(bytes: &[u8]) -> Result<Command, Status> {
    // A command holds a handle at most.
    if bytes.len() > HANDLE_BYTES_MAX + NAME_BYTES_MAX {
        let length = bytes.len();
        return Err(error::invalid(format!("the command has {length} bytes, at most {HANDLE_BYTES_MAX} are allowed")));
    }
    let not_ours = || error::invalid("this is not a Flight SQL command; ask by a Flight SQL client");
    let any = Any::decode(bytes).map_err(|_| not_ours())?;
    Command::try_from(any).map_err(|_| not_ours())
}

fn of_command(command: Command) -> Result<Asked, Status> {
    match command {
        Command::CommandStatementQuery(query) => {
            no_transaction(query.transaction_id.as_deref())?;
            Ok(Asked::Statement(Statement::new(query.query)))
        }
        Command::CommandPreparedStatementQuery(query) => {
            Ok(Asked::Statement(Statement::decode_handle(&query.prepared_statement_handle)?))
        }
        Command::TicketStatementQuery(ticket) => {
            Ok(Asked::Statement(Statement::decode_handle(&ticket.statement_handle)?))
        }
        Command::CommandGetTables(ref asked) => {
            let patterns = [&asked.catalog, &asked.db_schema_filter_pattern, &asked.table_name_filter_pattern];
            let names = patterns.into_iter().flatten().chain(&asked.table_types);
            check_listed(asked.table_types.len(), names)?;
            Ok(Asked::Metadata(command))
        }
        Command::CommandGetDbSchemas(ref asked) => {
            check_listed(0, [&asked.catalog, &asked.db_schema_filter_pattern].into_iter().flatten())?;
            Ok(Asked::Metadata(command))
        }
        Command::CommandGetSqlInfo(ref asked) => {
            check_listed(asked.info.len(), std::iter::empty())?;
            Ok(Asked::Metadata(command))
        }
        Command::CommandGetCatalogs(_)
        | Command::CommandGetTableTypes(_)
        | Command::CommandGetXdbcTypeInfo(_)
        | Command::CommandGetPrimaryKeys(_)
        | Command::CommandGetExportedKeys(_)
        | Command::CommandGetImportedKeys(_)
        | Command::CommandGetCrossReference(_) => Ok(Asked::Metadata(command)),
        other => Err(refusal(&other)),
    }
}

fn check_listed<'a>(count: usize, names: impl Iterator<Item = &'a String>) -> Result<(), Status> {
    if count > LISTED_MAX {
        return Err(error::invalid(format!("{count} things are asked for at once, at most {LISTED_MAX} are allowed")));
    }
    for name in names {
        if name.len() > NAME_BYTES_MAX {
            let length = name.len();
            let message = format!("a name or pattern has {length} bytes, at most {NAME_BYTES_MAX} are allowed");
            return Err(error::invalid(message));
        }
    }
    Ok(())
}

pub(super) fn no_transaction(id: Option<&[u8]>) -> Result<(), Status> {
    match id {
        None | Some([]) => Ok(()),
        Some(_) => Err(no_transactions()),
    }
}

pub(super) fn no_transactions() -> Status {
    error::unimplemented("there are no transactions: each query reads the tables as they are when it starts")
}

pub(super) fn no_substrait() -> Status {
    error::unimplemented("Substrait plans are not understood, send SQL")
}

/// Why a command is not answered.
pub(super) fn refusal(command: &Command) -> Status {
    match command {
        Command::CommandStatementUpdate(_) | Command::CommandPreparedStatementUpdate(_) => {
            // In the words in which the engine refuses it.
            error::invalid("only SELECT, EXPLAIN, SHOW and DESCRIBE are allowed; rows come in through ingest only")
        }
        Command::CommandStatementIngest(_) => {
            error::unimplemented("rows come in through POST /v1/ingest/TABLE only, Flight SQL reads")
        }
        Command::CommandStatementSubstraitPlan(_) => no_substrait(),
        other => {
            let name: String = other.type_url().rsplit('.').next().unwrap_or_default().chars().take(80).collect();
            error::unimplemented(format!("{name:?} is not a command that this server knows"))
        }
    }
}
