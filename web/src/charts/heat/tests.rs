use super::*;
use contract::GpuState;
use contract::answers::FleetGpu;

fn gpu(index: i64) -> FleetGpu {
    FleetGpu {
        gpu_uuid: format!("GPU-{index}"),
        gpu_index: index,
        gpu_model: String::new(),
        mig_profile: None,
        state: GpuState::Active,
        job_id: None,
        user: None,
        gpu_busy_ratio: None,
        power_watts: None,
        temperature_celsius: None,
        memory_used_bytes: None,
        memory_total_bytes: None,
        cells: vec![],
        jobs: vec![],
    }
}

fn fleet(racks: usize, nodes: usize, gpus: usize) -> Vec<FleetNode> {
    let node = |i: usize| FleetNode {
        cluster: "c".to_owned(),
        node: format!("n{i}"),
        rack: Some(format!("r{}", i / nodes)),
        gpus: (0..gpus as i64).map(gpu).collect(),
    };
    (0..racks * nodes).map(node).collect()
}

fn all(nodes: &[FleetNode]) -> Vec<usize> {
    (0..nodes.len()).collect()
}

#[test]
fn every_row_is_hit_where_it_is_drawn() {
    for (racks, nodes, gpus) in [(1, 1, 1), (8, 4, 8), (63, 4, 8)] {
        let nodes = fleet(racks, nodes, gpus);
        let layout = layout(&nodes, &all(&nodes));
        assert_eq!(layout.rows.len(), nodes.iter().map(|n| n.gpus.len()).sum::<usize>());
        assert_eq!(layout.racks.len(), racks);
        let gap = layout.nodes[0].top + layout.nodes[0].height + 1.0;
        assert_eq!(row_at(&layout, gap), None, "between two nodes is no row");
        for (i, row) in layout.rows.iter().enumerate() {
            assert_eq!(row_at(&layout, row.top + 0.5), Some(i));
            assert!(row.top + layout.row_height <= layout.height);
        }
        assert_eq!(row_at(&layout, -1.0), None);
        assert_eq!(row_at(&layout, layout.height + 1.0), None);
    }
}

#[test]
fn few_gpus_have_high_rows_and_many_have_thin_ones() {
    let one = fleet(1, 1, 1);
    assert_eq!(layout(&one, &all(&one)).row_height, ROW_MAX);
    let many = fleet(63, 4, 8);
    let crowded = layout(&many, &all(&many));
    assert_eq!(crowded.row_height, ROW_MIN);
    assert!(crowded.nodes.windows(2).all(|w| w[1].top - w[0].top >= LABEL_MIN));
}

#[test]
fn filtered_nodes_leave_no_holes() {
    let nodes = fleet(2, 4, 8);
    let shown = [1, 6];
    let layout = layout(&nodes, &shown);
    assert_eq!(layout.rows.len(), 16);
    assert_eq!(layout.rows[0].node, 1);
    assert_eq!(layout.racks.iter().map(|l| l.text.as_str()).collect::<Vec<_>>(), ["r0", "r1"]);
    assert_eq!(super::layout(&nodes, &[]), Layout { row_height: ROW_MAX, ..Layout::default() });
}

#[test]
fn columns_and_brushes() {
    assert_eq!(column_at(0.0, 100.0, 4), Some(0));
    assert_eq!(column_at(99.9, 100.0, 4), Some(3));
    assert_eq!(column_at(100.0, 100.0, 4), None);
    assert_eq!(column_at(-0.1, 100.0, 4), None);
    assert_eq!(column_at(5.0, 100.0, 0), None);
    assert_eq!(brushed(1000, 2000, 100.0, 75.0, 25.0), Some((1250, 1750)));
    assert_eq!(brushed(1000, 2000, 100.0, 50.0, 53.0), None);
    assert_eq!(brushed(1000, 2000, 100.0, -40.0, 400.0), Some((1000, 2000)));
}

#[test]
fn colours_and_gaps() {
    let stops = [[0, 0, 0], [100, 100, 100], [200, 0, 50]];
    assert_eq!(blend(&stops, 0.0), [0, 0, 0]);
    assert_eq!(blend(&stops, 0.5), [100, 100, 100]);
    assert_eq!(blend(&stops, 0.75), [150, 50, 75]);
    assert_eq!(blend(&stops, 9.0), [200, 0, 50]);
    assert_eq!(blend(&[], 0.5), [0, 0, 0]);
    assert_eq!(position(50.0, (0.0, 200.0)), 0.25);
    assert_eq!(position(50.0, (5.0, 5.0)), 0.0);
    assert_eq!(gaps(&[None, Some(1.0), None, None]), vec![(0, 1), (2, 2)]);
}
