//! The calls of Flight, each a few lines: what is asked, the engine's answer, the message that carries it.

use super::admit::Token;
use super::answers::{Answers, Messages, of_batch};
use super::commands::{self, Asked};
use super::statement::Statement;
use super::{error, metadata, parameters};
use crate::query::Engine;
use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::ipc::writer::IpcWriteOptions;
use arrow_flight::flight_service_server::FlightService;
use arrow_flight::sql::{
    ActionCancelQueryRequest, ActionCancelQueryResult, ActionClosePreparedStatementRequest,
    ActionCreatePreparedStatementRequest, ActionCreatePreparedStatementResult, Any, Command,
    DoPutPreparedStatementResult, ProstMessageExt, TicketStatementQuery,
};
use arrow_flight::{
    Action, ActionType, CancelFlightInfoRequest, CancelFlightInfoResult, CancelStatus, Criteria, Empty, FlightData,
    FlightDescriptor, FlightEndpoint, FlightInfo, HandshakeRequest, HandshakeResponse, IpcMessage, PollInfo, PutResult,
    SchemaAsIpc, SchemaResult, Ticket,
};
use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryFutureExt};
use prost::Message;
use tonic::{Request, Response, Status, Streaming};

/// The actions that are known, with their meaning.
const ACTIONS: [(&str, &str); 4] = [
    ("CreatePreparedStatement", "Checks a query and tells its columns and parameters"),
    ("ClosePreparedStatement", "Does nothing: a prepared statement takes no room here"),
    ("CancelFlightInfo", "Stops the running answers to an info's tickets"),
    ("CancelQuery", "The same, in the older form"),
];

pub(super) struct Service {
    engine: Engine,
    answers: Answers,
}

impl Service {
    pub(super) fn new(engine: Engine) -> Self {
        Self { engine, answers: Answers::new() }
    }

    async fn columns(&self, statement: &Statement) -> Result<SchemaRef, Status> {
        let _place = self.answers.place()?;
        self.engine.schema(&statement.sql, statement.parameters()).await.map_err(error::of_query)
    }

    /// The statement that reads all of a table.
    async fn all_of(&self, table: &str) -> Result<Statement, Status> {
        let tables = self.engine.tables().await.map_err(error::of_query)?;
        if tables.iter().any(|known| known.name == table) {
            return Ok(Statement::new(format!("SELECT * FROM {table}")));
        }
        let known: Vec<String> = tables.into_iter().map(|table| table.name).collect();
        let table: String = table.chars().take(200).collect();
        Err(error::of_query(crate::query::QueryError::UnknownTable { table, known }))
    }

    async fn metadata(&self, command: &Command) -> Result<RecordBatch, Status> {
        let tables = self.engine.tables().await.map_err(error::of_query)?;
        metadata::rows(command, &tables)
    }

    /// What a descriptor asks for, as an info with one ticket.
    async fn info(&self, descriptor: FlightDescriptor) -> Result<FlightInfo, Status> {
        let statement = match commands::of_descriptor(&descriptor)? {
            Asked::Statement(statement) => statement,
            Asked::Table(table) => self.all_of(&table).await?,
            Asked::Metadata(command) => {
                let schema = self.metadata(&command).await?.schema();
                return info(&schema, descriptor.cmd.clone(), descriptor);
            }
        };
        let schema = self.columns(&statement).await?;
        let handle = statement.called(uuid::Uuid::new_v4().as_bytes().to_vec()).encode_handle()?;
        let ticket = TicketStatementQuery { statement_handle: handle.into() }.as_any().encode_to_vec();
        info(&schema, ticket.into(), descriptor)
    }

    async fn schema(&self, descriptor: FlightDescriptor) -> Result<Bytes, Status> {
        Ok(self.info(descriptor).await?.schema)
    }

    async fn prepare(
        &self,
        asked: ActionCreatePreparedStatementRequest,
    ) -> Result<ActionCreatePreparedStatementResult, Status> {
        commands::no_transaction(asked.transaction_id.as_deref())?;
        let _place = self.answers.place()?;
        let prepared = self.engine.prepare(&asked.query).await.map_err(error::of_query)?;
        let parameter = |(at, kind): (usize, Option<DataType>)| {
            // Any value may come where the query does not say.
            Field::new(format!("${}", at + 1), kind.unwrap_or(DataType::Null), true)
        };
        let parameters: Vec<Field> = prepared.parameters.into_iter().enumerate().map(parameter).collect();
        Ok(ActionCreatePreparedStatementResult {
            prepared_statement_handle: Statement::new(asked.query).encode_handle()?.into(),
            dataset_schema: prepared.schema.map(|schema| schema_bytes(&schema)).transpose()?.unwrap_or_default(),
            parameter_schema: schema_bytes(&Schema::new(parameters))?,
        })
    }

    /// Stops the answers to the tickets of an info.
    fn cancel(&self, info: Option<FlightInfo>) -> CancelStatus {
        let mut cancelled = false;
        for ticket in info.into_iter().flat_map(|info| info.endpoint).filter_map(|endpoint| endpoint.ticket) {
            if let Ok(Asked::Statement(statement)) = commands::of_ticket(&ticket) {
                cancelled |= self.answers.cancel(&statement.id);
            }
        }
        if cancelled { CancelStatus::Cancelled } else { CancelStatus::NotCancellable }
    }

    /// The body of an action's result, if it has one.
    async fn act(&self, action: Action) -> Result<Option<Vec<u8>>, Status> {
        match action.r#type.as_str() {
            "CreatePreparedStatement" => {
                let asked: ActionCreatePreparedStatementRequest = unpack(&action.body)?;
                Ok(Some(self.prepare(asked).await?.as_any().encode_to_vec()))
            }
            "ClosePreparedStatement" => {
                unpack::<ActionClosePreparedStatementRequest>(&action.body)?;
                Ok(None)
            }
            "CancelFlightInfo" => {
                let asked = CancelFlightInfoRequest::decode(action.body).map_err(not_the_message)?;
                Ok(Some(CancelFlightInfoResult { status: self.cancel(asked.info).into() }.encode_to_vec()))
            }
            "CancelQuery" => {
                let asked: ActionCancelQueryRequest = unpack(&action.body)?;
                let info = FlightInfo::decode(asked.info).map_err(not_the_message)?;
                // Both messages number their results alike.
                let result = ActionCancelQueryResult { result: self.cancel(Some(info)).into() };
                Ok(Some(result.as_any().encode_to_vec()))
            }
            "BeginTransaction" | "EndTransaction" | "BeginSavepoint" | "EndSavepoint" => {
                Err(commands::no_transactions())
            }
            "CreatePreparedSubstraitPlan" => Err(commands::no_substrait()),
            other => {
                let known: Vec<&str> = ACTIONS.iter().map(|(name, _)| *name).collect();
                let other: String = other.chars().take(80).collect();
                Err(error::unimplemented(format!("there is no action {other:?}; known are {}", known.join(", "))))
            }
        }
    }
}

fn not_the_message(_: prost::DecodeError) -> Status {
    error::invalid("the action's body is not the message that it needs")
}

fn unpack<M: ProstMessageExt>(body: &[u8]) -> Result<M, Status> {
    let any = Any::decode(body).map_err(not_the_message)?;
    let message = any.unpack().ok().flatten();
    message.ok_or_else(|| error::invalid("the action's body is not the message that it needs"))
}

/// A schema in the form that Flight's messages carry.
fn schema_bytes(schema: &Schema) -> Result<Bytes, Status> {
    let options = IpcWriteOptions::default();
    let IpcMessage(bytes) = SchemaAsIpc::new(schema, &options).try_into().map_err(error::of_arrow)?;
    Ok(bytes)
}

fn info(schema: &Schema, ticket: Bytes, descriptor: FlightDescriptor) -> Result<FlightInfo, Status> {
    let endpoint = FlightEndpoint::new().with_ticket(Ticket::new(ticket));
    let info = FlightInfo::new().with_descriptor(descriptor).with_endpoint(endpoint);
    info.try_with_schema(schema).map_err(error::of_arrow)
}

/// A stream of what is there already.
fn all<T: Send + 'static>(messages: Vec<T>) -> BoxStream<'static, Result<T, Status>> {
    stream::iter(messages.into_iter().map(Ok)).boxed()
}

#[tonic::async_trait]
impl FlightService for Service {
    type HandshakeStream = BoxStream<'static, Result<HandshakeResponse, Status>>;
    type ListFlightsStream = BoxStream<'static, Result<FlightInfo, Status>>;
    type DoGetStream = Messages;
    type DoPutStream = BoxStream<'static, Result<PutResult, Status>>;
    type DoExchangeStream = BoxStream<'static, Result<FlightData, Status>>;
    type DoActionStream = BoxStream<'static, Result<arrow_flight::Result, Status>>;
    type ListActionsStream = BoxStream<'static, Result<ActionType, Status>>;

    /// Tells a driver that came with a password to send it as a token from now on.
    async fn handshake(
        &self,
        request: Request<Streaming<HandshakeRequest>>,
    ) -> Result<Response<Self::HandshakeStream>, Status> {
        let token = request.extensions().get::<Token>().ok_or_else(error::unauthenticated)?;
        let bearer = format!("Bearer {}", token.0).parse().map_err(|_| error::unauthenticated())?;
        let mut response = Response::new(all(Vec::new()));
        response.metadata_mut().insert("authorization", bearer);
        Ok(response)
    }

    /// Each table, for clients that know no SQL.
    async fn list_flights(&self, request: Request<Criteria>) -> Result<Response<Self::ListFlightsStream>, Status> {
        if !request.get_ref().expression.is_empty() {
            return Err(error::unimplemented("flights are the tables, and are listed without criteria only"));
        }
        let mut flights = Vec::new();
        for table in self.engine.tables().await.map_err(error::of_query)? {
            flights.push(self.info(FlightDescriptor::new_path(vec![table.name])).await?);
        }
        Ok(Response::new(all(flights)))
    }

    async fn get_flight_info(&self, request: Request<FlightDescriptor>) -> Result<Response<FlightInfo>, Status> {
        Ok(Response::new(self.info(request.into_inner()).await?))
    }

    /// A query does its work while its answer is read, so that there is nothing to poll for.
    async fn poll_flight_info(&self, request: Request<FlightDescriptor>) -> Result<Response<PollInfo>, Status> {
        let info = self.info(request.into_inner()).await?;
        let poll = PollInfo::new().with_info(info).try_with_progress(1.0).map_err(error::of_arrow)?;
        Ok(Response::new(poll))
    }

    async fn get_schema(&self, request: Request<FlightDescriptor>) -> Result<Response<SchemaResult>, Status> {
        Ok(Response::new(SchemaResult { schema: self.schema(request.into_inner()).await? }))
    }

    async fn do_get(&self, request: Request<Ticket>) -> Result<Response<Messages>, Status> {
        match commands::of_ticket(request.get_ref())? {
            Asked::Statement(statement) => {
                let place = self.answers.place()?;
                let answer = self.engine.sql(&statement.sql, statement.parameters()).map_err(error::of_query).await?;
                Ok(Response::new(self.answers.send(answer, statement.id, place)))
            }
            Asked::Metadata(command) => Ok(Response::new(of_batch(self.metadata(&command).await?))),
            Asked::Table(_) => Err(error::invalid("a ticket names no table, ask for its info first")),
        }
    }

    /// Binds parameters: the handle that goes back holds them.
    async fn do_put(&self, request: Request<Streaming<FlightData>>) -> Result<Response<Self::DoPutStream>, Status> {
        let mut messages = request.into_inner();
        let first = messages.message().await?.ok_or_else(|| error::invalid("nothing was put"))?;
        let descriptor = first.flight_descriptor.as_ref();
        let descriptor = descriptor.ok_or_else(|| error::invalid("the first message has no descriptor"))?;
        let command = commands::command(&descriptor.cmd)?;
        let Command::CommandPreparedStatementQuery(query) = command else {
            return Err(commands::refusal(&command));
        };
        let statement = Statement::decode_handle(&query.prepared_statement_handle)?;
        let bound = statement.with(parameters::receive(first, messages).await?)?;
        let handle = Some(bound.encode_handle()?.into());
        let result = DoPutPreparedStatementResult { prepared_statement_handle: handle };
        Ok(Response::new(all(vec![PutResult { app_metadata: result.encode_to_vec().into() }])))
    }

    async fn do_exchange(
        &self,
        _request: Request<Streaming<FlightData>>,
    ) -> Result<Response<Self::DoExchangeStream>, Status> {
        Err(error::unimplemented("there is no exchange here; send SQL and read its answer"))
    }

    async fn do_action(&self, request: Request<Action>) -> Result<Response<Self::DoActionStream>, Status> {
        let body = self.act(request.into_inner()).await?;
        Ok(Response::new(all(body.into_iter().map(|body| arrow_flight::Result { body: body.into() }).collect())))
    }

    async fn list_actions(&self, _request: Request<Empty>) -> Result<Response<Self::ListActionsStream>, Status> {
        let kind =
            |(name, meaning): (&str, &str)| ActionType { r#type: name.to_owned(), description: meaning.to_owned() };
        Ok(Response::new(all(ACTIONS.map(kind).into())))
    }
}
