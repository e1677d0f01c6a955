//! What inference engines call their metrics: the names, and what they mean. Data.

/// What a metric tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    /// Requests that are worked at, and that wait.
    Running,
    Waiting,
    /// Of the KV cache, 0 to 1.
    KvUsed,
    /// Tokens in the KV cache, and that it has room for: their quotient is the same.
    KvTokens,
    KvTokensMax,
    /// Tokens of prompts that the prefix cache had, and that it was asked for.
    PrefixHits,
    PrefixQueries,
    /// Share that it had.
    PrefixHitRatio,
    PromptTokens,
    OutputTokens,
    Requests,
    /// Histograms in seconds.
    FirstToken,
    PerToken,
    Queue,
    Duration,
}

/// A metric of an engine.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Known {
    pub(super) engine: &'static str,
    /// As the engine spells it; also found with `_` for `:`, and with or without `_total`.
    pub(super) name: &'static str,
    pub(super) role: Role,
    /// What a value is multiplied by: milliseconds become seconds.
    pub(super) scale: f64,
}

const fn known(engine: &'static str, name: &'static str, role: Role) -> Known {
    Known { engine, name, role, scale: 1.0 }
}

const VLLM: &str = "vLLM";
const SGLANG: &str = "SGLang";
const TRTLLM: &str = "TensorRT-LLM";
const TGI: &str = "TGI";
const TRITON: &str = "Triton";
const LLAMA: &str = "llama.cpp";
const OTEL: &str = "OpenTelemetry";

pub(super) const METRICS: &[Known] = &[
    known(VLLM, "vllm:num_requests_running", Role::Running),
    known(VLLM, "vllm:num_requests_waiting", Role::Waiting),
    known(VLLM, "vllm:kv_cache_usage_perc", Role::KvUsed),
    known(VLLM, "vllm:gpu_cache_usage_perc", Role::KvUsed),
    known(VLLM, "vllm:prefix_cache_hits_total", Role::PrefixHits),
    known(VLLM, "vllm:gpu_prefix_cache_hits_total", Role::PrefixHits),
    known(VLLM, "vllm:prefix_cache_queries_total", Role::PrefixQueries),
    known(VLLM, "vllm:gpu_prefix_cache_queries_total", Role::PrefixQueries),
    known(VLLM, "vllm:prompt_tokens_total", Role::PromptTokens),
    known(VLLM, "vllm:generation_tokens_total", Role::OutputTokens),
    known(VLLM, "vllm:request_success_total", Role::Requests),
    known(VLLM, "vllm:time_to_first_token_seconds", Role::FirstToken),
    known(VLLM, "vllm:request_time_per_output_token_seconds", Role::PerToken),
    known(VLLM, "vllm:time_per_output_token_seconds", Role::PerToken),
    known(VLLM, "vllm:inter_token_latency_seconds", Role::PerToken),
    known(VLLM, "vllm:request_queue_time_seconds", Role::Queue),
    known(VLLM, "vllm:e2e_request_latency_seconds", Role::Duration),
    known(SGLANG, "sglang:num_running_reqs", Role::Running),
    known(SGLANG, "sglang:num_queue_reqs", Role::Waiting),
    known(SGLANG, "sglang:token_usage", Role::KvUsed),
    known(SGLANG, "sglang:cache_hit_rate", Role::PrefixHitRatio),
    known(SGLANG, "sglang:prompt_tokens_total", Role::PromptTokens),
    known(SGLANG, "sglang:generation_tokens_total", Role::OutputTokens),
    known(SGLANG, "sglang:num_requests_total", Role::Requests),
    known(SGLANG, "sglang:time_to_first_token_seconds", Role::FirstToken),
    known(SGLANG, "sglang:request_time_per_output_token_seconds", Role::PerToken),
    known(SGLANG, "sglang:inter_token_latency_seconds", Role::PerToken),
    known(SGLANG, "sglang:queue_time_seconds", Role::Queue),
    known(SGLANG, "sglang:e2e_request_latency_seconds", Role::Duration),
    known(TRTLLM, "trtllm_num_requests_running", Role::Running),
    known(TRTLLM, "trtllm_num_requests_waiting", Role::Waiting),
    known(TRTLLM, "trtllm_kv_cache_utilization", Role::KvUsed),
    known(TRTLLM, "trtllm_kv_cache_hit_rate", Role::PrefixHitRatio),
    known(TRTLLM, "trtllm_prompt_tokens_total", Role::PromptTokens),
    known(TRTLLM, "trtllm_generation_tokens_total", Role::OutputTokens),
    known(TRTLLM, "trtllm_request_success_total", Role::Requests),
    known(TRTLLM, "trtllm_time_to_first_token_seconds", Role::FirstToken),
    known(TRTLLM, "trtllm_time_per_output_token_seconds", Role::PerToken),
    known(TRTLLM, "trtllm_request_queue_time_seconds", Role::Queue),
    known(TRTLLM, "trtllm_e2e_request_latency_seconds", Role::Duration),
    known(TGI, "tgi_batch_current_size", Role::Running),
    known(TGI, "tgi_queue_size", Role::Waiting),
    known(TGI, "tgi_batch_current_max_tokens", Role::KvTokens),
    known(TGI, "tgi_batch_max_total_tokens", Role::KvTokensMax),
    known(TGI, "tgi_request_count", Role::Requests),
    known(TGI, "tgi_request_mean_time_per_token_duration", Role::PerToken),
    known(TGI, "tgi_request_queue_duration", Role::Queue),
    known(TGI, "tgi_request_duration", Role::Duration),
    known(TRITON, "nv_inference_pending_request_count", Role::Waiting),
    known(TRITON, "nv_inference_request_success", Role::Requests),
    Known { scale: 1e-3, ..known(TRITON, "nv_inference_first_response_histogram_ms", Role::FirstToken) },
    known(LLAMA, "llamacpp:requests_processing", Role::Running),
    known(LLAMA, "llamacpp:requests_deferred", Role::Waiting),
    known(LLAMA, "llamacpp:kv_cache_usage_ratio", Role::KvUsed),
    known(LLAMA, "llamacpp:prompt_tokens_total", Role::PromptTokens),
    known(LLAMA, "llamacpp:tokens_predicted_total", Role::OutputTokens),
    known(OTEL, "gen_ai.server.time_to_first_token", Role::FirstToken),
    known(OTEL, "gen_ai.server.time_per_output_token", Role::PerToken),
    known(OTEL, "gen_ai.server.request.duration", Role::Duration),
];

/// What a metric of this name tells.
pub(super) fn find(name: &str) -> Option<&'static Known> {
    METRICS.iter().find(|known| spellings(known.name).iter().any(|spelled| spelled == name))
}

/// All names under which a metric may arrive.
pub(super) fn spellings(name: &str) -> Vec<String> {
    let bare = name.strip_suffix("_total").unwrap_or(name);
    let mut all = Vec::with_capacity(4);
    for base in [bare.to_owned(), bare.replace([':', '.'], "_")] {
        for spelled in [base.clone(), format!("{base}_total")] {
            if !all.contains(&spelled) {
                all.push(spelled);
            }
        }
    }
    all
}

/// All spellings of all metrics with such a role, as a list in SQL. They are ours, so none has a quote.
pub(super) fn sql_names(of: impl Fn(Role) -> bool) -> String {
    let names = METRICS.iter().filter(|known| of(known.role)).flat_map(|known| spellings(known.name));
    names.map(|name| format!("'{name}'")).collect::<Vec<_>>().join(", ")
}

impl Role {
    pub(super) fn is_gauge(self) -> bool {
        use Role::{KvTokens, KvTokensMax, KvUsed, PrefixHitRatio, Running, Waiting};
        matches!(self, Running | Waiting | KvUsed | KvTokens | KvTokensMax | PrefixHitRatio)
    }

    pub(super) fn is_counter(self) -> bool {
        use Role::{OutputTokens, PrefixHits, PrefixQueries, PromptTokens, Requests};
        matches!(self, PrefixHits | PrefixQueries | PromptTokens | OutputTokens | Requests)
    }

    pub(super) fn is_histogram(self) -> bool {
        !self.is_gauge() && !self.is_counter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_found_in_both_spellings_and_mean_one_thing() {
        for (name, engine, role) in [
            ("vllm:prefix_cache_hits", VLLM, Role::PrefixHits),
            ("vllm_prefix_cache_hits_total", VLLM, Role::PrefixHits),
            ("vllm:gpu_cache_usage_perc", VLLM, Role::KvUsed),
            ("sglang_num_queue_reqs", SGLANG, Role::Waiting),
            ("trtllm_kv_cache_utilization", TRTLLM, Role::KvUsed),
            ("tgi_queue_size", TGI, Role::Waiting),
            ("nv_inference_pending_request_count", TRITON, Role::Waiting),
            ("llamacpp:requests_processing", LLAMA, Role::Running),
            ("gen_ai_server_time_to_first_token", OTEL, Role::FirstToken),
        ] {
            let found = find(name).unwrap_or_else(|| panic!("{name} is not known"));
            assert_eq!((found.engine, found.role), (engine, role), "{name}");
        }
        assert!(find("vllm:nothing").is_none());
        let all: Vec<String> = METRICS.iter().flat_map(|known| spellings(known.name)).collect();
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len(), "a name means one thing");
        assert!(all.iter().all(|name| !name.contains('\'')));
    }

    #[test]
    fn each_role_is_of_one_kind() {
        for known in METRICS {
            let kinds = [known.role.is_gauge(), known.role.is_counter(), known.role.is_histogram()];
            assert_eq!(kinds.iter().filter(|is| **is).count(), 1, "{known:?}");
        }
    }
}
