//! Who works on the fleet, and how they call their jobs.

use super::demand::Kind;
use super::draw::Draw;

#[derive(Debug, Clone, Copy)]
pub(super) struct Team {
    pub name: &'static str,
    /// What the scheduler charges.
    pub account: &'static str,
    pub project: &'static str,
    users: &'static [&'static str],
    /// Stems of job names, and the models they stand for.
    models: &'static [&'static str],
    /// Share of all jobs.
    weight: f64,
}

const TEAMS: &[Team] = &[
    Team {
        name: "nlp-research",
        account: "nlp",
        project: "foundation",
        users: &["achen", "mbauer", "priya", "tomasz", "yuki"],
        models: &["llm-7b", "llm-13b", "llm-70b"],
        weight: 0.30,
    },
    Team {
        name: "vision",
        account: "vision",
        project: "perception",
        users: &["dkim", "elena", "rahul"],
        models: &["vit-h", "detector-l", "diffusion-xl"],
        weight: 0.20,
    },
    Team {
        name: "speech",
        account: "speech",
        project: "voice",
        users: &["fatima", "jonas"],
        models: &["asr-large", "tts-v4"],
        weight: 0.12,
    },
    Team {
        name: "recsys",
        account: "ads",
        project: "ranking",
        users: &["lucia", "nikhil", "oskar"],
        models: &["ranker-v9", "two-tower"],
        weight: 0.16,
    },
    Team {
        name: "biology",
        account: "bio",
        project: "folding",
        users: &["hana", "sofia"],
        models: &["fold-v2", "protein-lm"],
        weight: 0.12,
    },
    Team {
        name: "platform",
        account: "platform",
        project: "serving",
        users: &["ben", "svc-deploy"],
        models: &["chat-70b", "embed-l", "rerank-m", "code-34b"],
        weight: 0.10,
    },
];

/// Who asked for a job, and what for.
#[derive(Debug, Clone)]
pub(super) struct Owner {
    pub team: &'static Team,
    pub user: &'static str,
    pub model: &'static str,
}

pub(super) fn owner(kind: Kind, draw: Draw) -> Owner {
    let platform = &TEAMS[TEAMS.len() - 1];
    let mut at = draw.of("team").unit();
    let drawn = TEAMS.iter().find(|team| {
        at -= team.weight;
        at < 0.0
    });
    let team = if kind == Kind::Serve { platform } else { drawn.unwrap_or(platform) };
    let user = if kind == Kind::Serve { "svc-deploy" } else { draw.of("user").pick(team.users) };
    Owner { team, user, model: draw.of("model").pick(team.models) }
}

/// The name that the owner gave the job.
pub(super) fn job_name(kind: Kind, owner: &Owner, draw: Draw) -> String {
    let Owner { user, model, .. } = owner;
    let number = draw.of("number").seconds(1, 40);
    match kind {
        Kind::Pretrain => format!("pretrain-{model}-s{number}"),
        Kind::Train => format!("train-{model}-r{number}"),
        Kind::Finetune => format!("{}-{model}-{number}", draw.of("how").pick(&["sft", "lora", "dpo", "distill"])),
        Kind::Evaluate => format!("eval-{model}-{}", draw.of("what").pick(&["val", "mmlu", "golden", "ablation"])),
        Kind::Broken => format!("train-{model}-debug"),
        Kind::Notebook | Kind::Slice | Kind::Abandoned => format!("jupyter-{user}"),
        Kind::Serve => (*model).to_owned(),
        Kind::Hold | Kind::Parked => "interactive".to_owned(),
    }
}

/// The program that the process list shows.
pub(super) fn command(kind: Kind) -> &'static str {
    match kind {
        Kind::Serve => "vllm",
        Kind::Notebook | Kind::Slice | Kind::Abandoned => "ipykernel",
        Kind::Pretrain | Kind::Train | Kind::Broken => "torchrun",
        Kind::Finetune | Kind::Evaluate => "python",
        Kind::Hold | Kind::Parked => "bash",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn teams_share_the_jobs_out_completely() {
        assert!((TEAMS.iter().map(|t| t.weight).sum::<f64>() - 1.0).abs() < 1e-9);
        let draw = Draw::new(1);
        let seen = |team: &str| (0..1000).filter(|i| owner(Kind::Train, draw.of(*i)).team.name == team).count();
        for team in TEAMS {
            assert!(seen(team.name) > 50, "{}", team.name);
        }
    }
}
