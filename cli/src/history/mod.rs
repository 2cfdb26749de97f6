//! What happened to a tenant's rows, from a terminal.

pub mod arguments;
mod shown;

use crate::calls::api::Api;
use crate::calls::arguments::Connection;
use crate::error::CliError;
use crate::report::print;
use arguments::{History, Operation, Order, Page, Range};
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value, json};
use std::process::ExitCode;

pub async fn run(asked: &History) -> Result<ExitCode, CliError> {
    match asked {
        History::Transactions(order) => {
            let mut args = args([
                ("p_order", json!(order_named(order.order))),
                ("p_actor", json!(order.actor)),
                ("p_source", json!(order.source)),
            ]);
            add_range(&mut args, &order.range);
            add_page(&mut args, &order.page);
            let name = "get_transactions";
            give(&order.connection, name, args, shown::transactions).await
        }
        History::Transaction(order) => {
            let mut args = args([("p_transaction_id", json!(order.transaction))]);
            add_page(&mut args, &order.page);
            give(&order.connection, "get_transaction", args, shown::changes).await
        }
        History::Row(order) => {
            let mut args = args([
                ("p_table", json!(order.table)),
                ("p_key", object(&order.key)),
            ]);
            add_page(&mut args, &order.page);
            give(&order.connection, "get_row_history", args, shown::row).await
        }
        History::Find(order) => {
            let filter = order
                .filter
                .clone()
                .unwrap_or_else(|| object(&order.columns));
            let operation = order.operation.map(|operation| match operation {
                Operation::Update => "UPDATE",
                Operation::Delete => "DELETE",
            });
            let mut args = args([
                ("p_table", json!(order.table)),
                ("p_filter", filter),
                ("p_operation", json!(operation)),
            ]);
            add_range(&mut args, &order.range);
            add_page(&mut args, &order.page);
            give(&order.connection, "find_rows", args, shown::found).await
        }
        History::Counts(order) => {
            let tables = (!order.tables.is_empty()).then_some(&order.tables);
            let args = args([
                ("p_since", moment(order.since)),
                ("p_until", moment(order.until)),
                ("p_buckets", json!(order.buckets)),
                ("p_tables", json!(tables)),
                ("p_actor", json!(order.actor)),
            ]);
            let name = "get_change_histogram";
            give(&order.connection, name, args, shown::counts).await
        }
        History::Events(order) => {
            let args = args([
                ("p_since", moment(order.since)),
                ("p_until", moment(order.until)),
            ]);
            give(&order.connection, "get_events", args, shown::events).await
        }
    }
}

/// Asks the database, and prints what it gives.
async fn give(
    connection: &Connection,
    function: &str,
    mut args: Map<String, Value>,
    text: impl Fn(&[Value]) -> String,
) -> Result<ExitCode, CliError> {
    let api = Api::open(connection)?;
    let tenant = match &connection.tenant {
        Some(tenant) => json!(tenant),
        None => api.ask("get_current_tenant", &Map::new()).await?,
    };
    if tenant.is_null() {
        return Err(CliError::Usage(
            "give --tenant: you belong to no tenant, or to several".to_owned(),
        ));
    }
    args.insert("p_tenant_id".to_owned(), tenant);
    let rows = match api.ask(function, &args).await {
        Ok(Value::Array(rows)) => rows,
        Ok(_) => Vec::new(),
        Err(error) => {
            if let (true, Some(refusal)) = (connection.json, error.refusal()) {
                print(true, &refusal.body(), |_| String::new())?;
            }
            return Err(error);
        }
    };
    print(connection.json, &rows, |rows| text(rows))?;
    Ok(ExitCode::SUCCESS)
}

/// The arguments that have a value.
fn args<const N: usize>(given: [(&str, Value); N]) -> Map<String, Value> {
    given
        .into_iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

fn add_range(to: &mut Map<String, Value>, range: &Range) {
    to.extend(args([
        ("p_since", range.since.map_or(Value::Null, moment)),
        ("p_until", range.until.map_or(Value::Null, moment)),
    ]));
}

fn add_page(to: &mut Map<String, Value>, page: &Page) {
    to.extend(args([
        ("p_limit", json!(page.limit)),
        ("p_before", json!(page.before)),
    ]));
}

fn order_named(order: Order) -> &'static str {
    match order {
        Order::Time => "time",
        Order::Rows => "rows",
        Order::Deletes => "deletes",
    }
}

fn object(pairs: &[(String, String)]) -> Value {
    let fields = pairs
        .iter()
        .map(|(name, value)| (name.clone(), json!(value)));
    Value::Object(fields.collect())
}

fn moment(at: DateTime<Utc>) -> Value {
    json!(at.to_rfc3339_opts(SecondsFormat::AutoSi, true))
}
