//! The course with Python's `smpp34`.

use super::{
    Site, cases, contents,
    course::Course,
    report::Report,
    smsc::{Kind, Smsc},
};

pub(super) async fn run(site: &Site) -> anyhow::Result<Vec<Report>> {
    let mut smsc = Smsc::start(&site.folder, Kind::Smpp34).await?;
    let mut course = Course::bound(site, &mut smsc, Kind::Smpp34.name(), "").await?;
    for case in cases::OF_SMPP34 {
        course.send(case).await?;
    }
    contents::run(&mut course).await?;
    contents::queue_full(&mut course).await?;
    Ok(vec![course.end().await?])
}
