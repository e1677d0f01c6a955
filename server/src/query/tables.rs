//! A store snapshot as a table of the query engine: hot batches and Parquet files, united.
//!
//! **Invariant:** a provider reads the snapshot that it was made with and nothing newer. It declares no
//! order, because the union of hot rows and files has none.

use super::word_scan::{self, WordIndexes};
use crate::store::{DataFile, Snapshot, searched_column};
use arrow::array::{ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions, TimestampMicrosecondArray, UInt64Array};
use arrow::datatypes::{DataType, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::config::TableParquetOptions;
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::stats::Precision;
use datafusion::common::{Column, ColumnStatistics, DFSchema, Result, ScalarValue, Statistics};
use datafusion::datasource::file_format::{FileFormat, parquet as parquet_files};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::datasource::object_store::ObjectStoreUrl;
use datafusion::datasource::physical_plan::parquet::ParquetRowSelection;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::union::UnionExec;
use std::collections::HashSet;
use std::sync::Arc;

/// The address under which the engine finds the store's objects.
pub(super) const STORE_URL: &str = "coulomb://store";

/// One table at one instant.
#[derive(Debug, Clone)]
pub(super) struct SnapshotTable {
    schema: SchemaRef,
    snapshot: Snapshot,
}

impl SnapshotTable {
    pub(super) fn new(snapshot: Snapshot) -> Self {
        Self { schema: Arc::clone(&snapshot.schema), snapshot }
    }

    /// One whose schema does not say which table it is of, so that it unites with others.
    pub(super) fn nameless(snapshot: Snapshot) -> Self {
        let fields = contract::read_schema(snapshot.table).fields().clone();
        Self { schema: Arc::new(Schema::new(fields)), snapshot }
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        self.snapshot.clone()
    }

    pub(super) fn generation(&self) -> u64 {
        self.snapshot.generation
    }

    /// The files that may hold rows which pass the filters.
    fn files_for(&self, state: &dyn Session, filters: &[Expr]) -> Result<Vec<DataFile>> {
        let all = &self.snapshot.files;
        let Some(filter) = conjunction(filters.to_vec()) else {
            return Ok(all.to_vec());
        };
        let schema = DFSchema::try_from(Arc::clone(&self.schema))?;
        let filter = state.create_physical_expr(filter, &schema)?;
        let builder = PruningPredicateBuilder::new().with_file_schema(Arc::clone(&self.schema));
        let Ok(predicate) = builder.try_build(filter) else {
            return Ok(all.to_vec());
        };
        let bounds = FileBounds { files: all, time_column: self.snapshot.table.time_column };
        let keep = predicate.prune(&bounds)?;
        Ok(all.iter().zip(keep).filter(|(_, keep)| *keep).map(|(file, _)| file.clone()).collect())
    }

    fn hot_scan(&self, partitions: usize, projection: Option<&Vec<usize>>) -> Result<Arc<dyn ExecutionPlan>> {
        let mut parts = vec![Vec::new(); partitions.min(self.snapshot.hot.len()).max(1)];
        let count = parts.len();
        // Whoever asks for few columns holds no others: a batch has dozens.
        let schema = self.projected(projection)?;
        for (i, batch) in self.snapshot.hot.iter().enumerate() {
            let columns = match projection {
                Some(wanted) => wanted.iter().map(|at| Arc::clone(batch.column(*at))).collect(),
                None => batch.columns().to_vec(),
            };
            let rows = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
            parts[i % count].push(RecordBatch::try_new_with_options(Arc::clone(&schema), columns, &rows)?);
        }
        Ok(MemorySourceConfig::try_new_exec(&parts, schema, None)?)
    }

    async fn file_scan(
        &self,
        state: &dyn Session,
        files: Vec<DataFile>,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let files = self.with_words(state, files, filters).await?;
        if files.is_empty() {
            return Ok(Arc::new(EmptyExec::new(self.projected(projection)?)));
        }
        let partitions = state.config().target_partitions().clamp(1, files.len());
        // The newest first: who asks for the latest rows is done with few files.
        let mut files = files;
        files.sort_by_key(|(file, _)| std::cmp::Reverse(file.time_max_micros));
        let mut groups = vec![FileGroup::default(); partitions];
        let rows = files.iter().map(|(file, _)| file.rows as usize).sum();
        for (i, (file, selection)) in files.into_iter().enumerate() {
            let statistics = Arc::new(self.statistics_of(&file));
            let read = PartitionedFile::new(file.path.as_ref(), file.size_bytes).with_statistics(statistics);
            groups[i % partitions].push(match selection {
                Some(selection) => read.with_extension(selection),
                None => read,
            });
        }
        let mut total = Statistics::new_unknown(&self.schema);
        total.num_rows = Precision::Exact(rows);
        let source = Arc::new(ParquetSource::new(Arc::clone(&self.schema)));
        let config = FileScanConfigBuilder::new(ObjectStoreUrl::parse(STORE_URL)?, source)
            .with_file_groups(groups)
            .with_statistics(total)
            .with_projection_indices(projection.cloned())?
            .with_limit(limit)
            .build();
        // The format makes the plan, because it brings the shared cache of file footers.
        let mut options = TableParquetOptions::default();
        options.global.pushdown_filters = self.spares_columns(filters, projection);
        let format = parquet_files::ParquetFormat::default().with_options(options);
        format.create_physical_plan(state, config).await
    }

    /// The files that may have the words which filters ask for, with the rows that may.
    async fn with_words(
        &self,
        state: &dyn Session,
        files: Vec<DataFile>,
        filters: &[Expr],
    ) -> Result<Vec<(DataFile, Option<ParquetRowSelection>)>> {
        let needed = searched_column(self.snapshot.table).map(|column| word_scan::needed(column, filters));
        let needed = needed.unwrap_or_default();
        let Some(indexes) = state.config().get_extension::<WordIndexes>().filter(|_| !needed.is_empty()) else {
            return Ok(files.into_iter().map(|file| (file, None)).collect());
        };
        let store = state.runtime_env().object_store(ObjectStoreUrl::parse(STORE_URL)?)?;
        let mut found = Vec::with_capacity(files.len());
        for file in files {
            match indexes.of(store.as_ref(), &file).await.map(|index| word_scan::selection(&index, &needed)) {
                None => found.push((file, None)),
                Some(Some(selection)) => found.push((file, Some(selection))),
                Some(None) => {}
            }
        }
        Ok(found)
    }

    /// Whether a reader that filters first can leave out values of columns that are not filtered by: a quarter of the
    /// time for the hours in which GPUs were idle. Ranges of time are found by statistics, with little left to filter.
    fn spares_columns(&self, filters: &[Expr], projection: Option<&Vec<usize>>) -> bool {
        let filtered: HashSet<&str> =
            filters.iter().flat_map(Expr::column_refs).map(|column| column.name.as_str()).collect();
        let is_other = |at: usize| !filtered.contains(self.schema.field(at).name().as_str());
        let others = match projection {
            Some(columns) => columns.iter().copied().any(is_other),
            None => (0..self.schema.fields().len()).any(is_other),
        };
        others && filtered.iter().any(|name| *name != self.snapshot.table.time_column)
    }

    fn statistics_of(&self, file: &DataFile) -> Statistics {
        let mut statistics = Statistics::new_unknown(&self.schema);
        statistics.num_rows = Precision::Exact(file.rows as usize);
        if let Ok(at) = self.schema.index_of(self.snapshot.table.time_column) {
            // Bounds, not values: the log of a table keeps them in milliseconds, rounded outwards.
            let bound =
                |micros| Precision::Inexact(ScalarValue::TimestampMicrosecond(Some(micros), Some("UTC".into())));
            let column = ColumnStatistics::new_unknown()
                .with_min_value(bound(file.time_min_micros))
                .with_max_value(bound(file.time_max_micros))
                .with_null_count(Precision::Exact(0));
            statistics.column_statistics[at] = column;
        }
        statistics
    }

    fn projected(&self, projection: Option<&Vec<usize>>) -> Result<SchemaRef> {
        match projection {
            Some(columns) => Ok(Arc::new(Schema::project(&self.schema, columns)?)),
            None => Ok(Arc::clone(&self.schema)),
        }
    }
}

#[async_trait]
impl TableProvider for SnapshotTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let mut parts = Vec::new();
        let files = self.files_for(state, filters)?;
        if !files.is_empty() {
            parts.push(self.file_scan(state, files, projection, filters, limit).await?);
        }
        if !self.snapshot.hot.is_empty() {
            parts.push(self.hot_scan(state.config().target_partitions(), projection)?);
        }
        match parts.len() {
            0 => Ok(Arc::new(EmptyExec::new(self.projected(projection)?))),
            1 => Ok(parts.remove(0)),
            _ => UnionExec::try_new(parts),
        }
    }
}

/// What is known of files without opening them: the bounds of their times.
struct FileBounds<'a> {
    files: &'a [DataFile],
    time_column: &'a str,
}

impl FileBounds<'_> {
    fn times(&self, column: &Column, of: fn(&DataFile) -> i64) -> Option<ArrayRef> {
        let times = TimestampMicrosecondArray::from_iter_values(self.files.iter().map(of)).with_timezone("UTC");
        (column.name == self.time_column).then(|| Arc::new(times) as ArrayRef)
    }
}

impl PruningStatistics for FileBounds<'_> {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        self.times(column, |file| file.time_min_micros)
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        self.times(column, |file| file.time_max_micros)
    }

    fn num_containers(&self) -> usize {
        self.files.len()
    }

    fn null_counts(&self, column: &Column) -> Option<ArrayRef> {
        let none = UInt64Array::from(vec![0; self.files.len()]);
        (column.name == self.time_column).then(|| Arc::new(none) as ArrayRef)
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        Some(Arc::new(UInt64Array::from_iter_values(self.files.iter().map(|file| file.rows))))
    }

    fn contained(&self, _column: &Column, _values: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        None
    }
}

/// The type in which clients get a column: the views of the engine become plain texts, at any depth.
pub(super) fn client_type(data_type: &DataType) -> DataType {
    let field =
        |f: &Arc<arrow::datatypes::Field>| Arc::new(f.as_ref().clone().with_data_type(client_type(f.data_type())));
    match data_type {
        DataType::Utf8View => DataType::Utf8,
        DataType::BinaryView => DataType::Binary,
        DataType::List(f) => DataType::List(field(f)),
        DataType::LargeList(f) => DataType::LargeList(field(f)),
        DataType::ListView(f) => DataType::List(field(f)),
        DataType::FixedSizeList(f, n) => DataType::FixedSizeList(field(f), *n),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(field).collect()),
        DataType::Map(f, sorted) => DataType::Map(field(f), *sorted),
        DataType::Dictionary(_, value) => client_type(value),
        other => other.clone(),
    }
}
