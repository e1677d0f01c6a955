//! The commands of `coulomb`.

use super::ServeFlags;
use crate::client::{
    AlertsCommand, AnomaliesCommand, BackupCommand, BillCommand, BudgetsCommand, CheckCommand, CloseCommand,
    DocumentsCommand, FindingsCommand, ImportCommand, IncidentsCommand, InferenceCommand, JobCommand, LogsCommand,
    PolicyCommand, PricesCommand, QueryCommand, ReconcileCommand, ReportCommand, RestoreCommand, RulesCommand,
    SchedulesCommand, TokenCommand, VerifyCommand,
};
use clap::{Parser, Subcommand};

/// GPU observability and cost analytics: the server and its command line.
#[derive(Debug, Parser)]
#[command(name = "coulomb", version, about)]
pub struct CommandLine {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the server.
    Serve(ServeFlags),
    /// Ask a running server by SQL.
    Query(QueryCommand),
    /// Send files of jobs or samples to a running server.
    Import(ImportCommand),
    /// List, show and take back what was stated about money; `import` states it.
    Documents(DocumentsCommand),
    /// Compare two policies on the same month.
    Policy(PolicyCommand),
    /// Show the prices that hold, with their documents and lines, and the GPUs that have none.
    Prices(PricesCommand),
    /// Show how each budget stands: spent, forecast, thresholds, and when it will be exceeded.
    Budgets(BudgetsCommand),
    /// Show days that cost more or less than days like them, and what drove them.
    Anomalies(AnomaliesCommand),
    /// Show what is wasted, broken or about to break, with what it costs per month and what to do.
    Findings(FindingsCommand),
    /// Show what failed, what it hit and what that cost; by category, user or node too.
    Incidents(IncidentsCommand),
    /// Say what a training job's time was for, what it lost and why, and how well it used its GPUs.
    Job(JobCommand),
    /// Close a month of the ledger: its rows never change from then on.
    Close(CloseCommand),
    /// Make a document about use and money: CSV, Parquet, XLSX, HTML, PDF or a FOCUS file.
    Report(ReportCommand),
    /// Show documents that are made by schedule, when the next are due and what became of the last; or run one now.
    Schedules(SchedulesCommand),
    /// Show services of inference: latency, tokens, what a million of them costs and for whom, replicas wanted.
    Inference(InferenceCommand),
    /// Show what fires and is about to; silence it, acknowledge it, or test who is told.
    Alerts(AlertsCommand),
    /// Show the rules of alerts and how their looks go; check, keep and remove texts of them.
    Rules(RulesCommand),
    /// Show the newest records of logs that pass a filter, or those that come.
    Logs(LogsCommand),
    /// List bills of providers and take them back; `import bill` brings them.
    Bill(BillCommand),
    /// Say by how much the ledger of a month and the bill differ, and why.
    Reconcile(ReconcileCommand),
    /// Make, list and revoke API tokens, or make a one-time login link for a browser.
    Token(TokenCommand),
    /// Say whether a server can be reached, is ready, takes the token and has fresh rows.
    Check(CheckCommand),
    /// Copy everything that a running server has into one archive, while it runs.
    Backup(BackupCommand),
    /// Make a data directory out of an archive; no server is asked.
    Restore(RestoreCommand),
    /// Have a running server read every file that it keeps, or check an archive.
    Verify(VerifyCommand),
}
