//! Speech and transcription: by tokens at the newer models, by the second of audio or the character of text at the
//! older ones.

use serde::Deserialize;
use serde_json::value::RawValue;
use weir_event::{TokenBucket, Unit};

use super::responses::WireUsage;
use super::usage::millis;
use super::{Api, CHAT, Usage, UsageError};
use crate::normalize::answer::{Answer, Members};
use crate::text::name;

/// From audio to text: transcriptions and translations.
pub(in crate::normalize) static TRANSCRIPTION: Api =
    Api { name: "transcription", read: read_transcription, usage: usage_of_transcription };
/// From text to audio. The answer is the audio itself, which says nothing, or a stream of events; what is billed by the
/// character is the text in the request.
pub(in crate::normalize) static SPEECH: Api =
    Api { name: "speech", read: read_speech, usage: usage_of_speech };

#[derive(Deserialize)]
struct WireDuration<'a> {
    #[serde(borrow)]
    seconds: Option<&'a RawValue>,
    /// Mistral's word for it, beside tokens that do not include the audio.
    #[serde(borrow)]
    prompt_audio_seconds: Option<&'a RawValue>,
}

fn read_transcription(members: &Members<'_>, answer: &mut Answer) {
    read(members, answer, "transcript.text.done");
    if let Some(audio) = members.duration.and_then(millis).filter(|_| members.complete) {
        // A count beyond all measure is as good as none.
        let _ = answer.units.set(Unit::AudioInputMs, audio);
    }
}

fn read_speech(members: &Members<'_>, answer: &mut Answer) {
    read(members, answer, "speech.audio.done");
}

fn read(members: &Members<'_>, answer: &mut Answer, end: &str) {
    answer.identify(members);
    let ended = members.kind.and_then(name).is_some_and(|kind| kind == end || kind == "transcription.done");
    if let Some(usage) = members.usage.filter(|_| members.complete) {
        answer.report(usage, ended);
    }
}

/// Either tokens or seconds, and at Mistral both.
fn usage_of_transcription(json: &str) -> Result<Usage, UsageError> {
    let wire: WireDuration<'_> = serde_json::from_str(json).map_err(|_| UsageError::Form)?;
    let (mut usage, audio) = match wire.prompt_audio_seconds {
        Some(seconds) => ((CHAT.usage)(json)?, Some(seconds)),
        None => (WireUsage::read(json)?.apart(TokenBucket::TextOutput)?, wire.seconds),
    };
    usage.set_unit(Unit::AudioInputMs, audio.and_then(millis))?;
    Ok(usage)
}

fn usage_of_speech(json: &str) -> Result<Usage, UsageError> {
    WireUsage::read(json)?.apart(TokenBucket::AudioOutput)
}

#[cfg(test)]
mod tests {
    use weir_event::TokenBucket::{AudioInput, AudioOutput, TextOutput, UncachedInput};

    use super::*;
    use crate::normalize::testing::cut_at_every_offset;

    fn check(body: &str, api: &Api, tokens: &[(TokenBucket, u64)], audio_ms: u64) {
        let usage = cut_at_every_offset(body, api);
        assert_eq!(usage.tokens.iter().collect::<Vec<_>>(), tokens, "{body}");
        assert_eq!(usage.units.get(Unit::AudioInputMs), audio_ms, "{body}");
    }

    #[test]
    fn a_transcription_is_billed_by_tokens_or_by_the_second() {
        check(
            r#"{"text":"Größe ist 大きさ","usage":{"type":"tokens","total_tokens":59,"input_tokens":14,"input_token_details":{"text_tokens":0,"audio_tokens":14},"output_tokens":45}}"#,
            &TRANSCRIPTION,
            &[(UncachedInput, 0), (AudioInput, 14), (TextOutput, 45)],
            0,
        );
        check(r#"{"text":"x","usage":{"type":"duration","seconds":9}}"#, &TRANSCRIPTION, &[], 9_000);
        check(r#"{"task":"transcribe","duration":8.47,"text":"x"}"#, &TRANSCRIPTION, &[], 8_470);
        check(r#"{"duration":"8.47","segments":[]}"#, &TRANSCRIPTION, &[], 8_470);
        check(
            r#"{"duration":8.47,"text":"x","usage":{"type":"duration","seconds":9},"words":[]}"#,
            &TRANSCRIPTION,
            &[],
            9_000,
        );
        check(
            r#"{"model":"voxtral-mini-2507","text":"x","usage":{"prompt_audio_seconds":203,"prompt_tokens":4,"total_tokens":3264,"completion_tokens":635}}"#,
            &TRANSCRIPTION,
            &[(UncachedInput, 4), (TextOutput, 635)],
            203_000,
        );
    }

    #[test]
    fn streams_end_with_their_usage() {
        check(
            concat!(
                "data: {\"type\":\"transcript.text.delta\",\"delta\":\"Größe\"}\n\n",
                "data: {\"type\":\"transcript.text.done\",\"text\":\"Größe\",\"usage\":{\"type\":\"tokens\",\"input_tokens\":30,\"input_token_details\":{\"text_tokens\":10,\"audio_tokens\":20},\"output_tokens\":4}}\n\n",
            ),
            &TRANSCRIPTION,
            &[(UncachedInput, 10), (AudioInput, 20), (TextOutput, 4)],
            0,
        );
        check(
            concat!(
                "data: {\"type\":\"speech.audio.delta\",\"audio\":\"aGk=\"}\n\n",
                "data: {\"type\":\"speech.audio.done\",\"usage\":{\"input_tokens\":14,\"output_tokens\":101,\"total_tokens\":115}}\n\n",
            ),
            &SPEECH,
            &[(UncachedInput, 14), (AudioOutput, 101)],
            0,
        );
    }

    #[test]
    fn sound_and_bare_text_say_nothing() {
        assert_eq!(Answer::read("ID3\u{4}\u{0}\u{fffd}data: {", &SPEECH).usage(&SPEECH), None);
        assert_eq!(
            Answer::read("1\n00:00:00,000 --> 00:00:02,000\nHi\n", &TRANSCRIPTION).usage(&TRANSCRIPTION),
            None
        );
    }
}
